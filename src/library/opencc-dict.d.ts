/** The character tables that opencc-js publishes without types: "from to|from to|…". */
declare module "opencc-js/dict/*" {
  const pairs: string;
  export default pairs;
}
