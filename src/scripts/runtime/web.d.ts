/** The text of web.js. */
declare const text: string;
export default text;
