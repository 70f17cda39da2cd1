/** Files that are embedded in the executable: `{ type: "text" }` gives text, `{ type: "file" }` a path for `Bun.file`. */
declare module "swagger-ui-dist/swagger-ui.css" {
  const path: string;
  export default path;
}
declare module "swagger-ui-dist/swagger-ui-bundle.js" {
  const path: string;
  export default path;
}
declare module "*.css" {
  const text: string;
  export default text;
}
