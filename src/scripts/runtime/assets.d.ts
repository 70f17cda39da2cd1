declare module "@jitl/quickjs-ng-wasmfile-release-sync/wasm" {
  /** Path of the file, also inside the compiled executable. */
  const path: string;
  export default path;
}
