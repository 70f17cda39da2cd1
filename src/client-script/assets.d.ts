/** LX scripts are embedded as text: they run in the client, never here. */
declare module "*.lx.js" {
  const text: string;
  export default text;
}
