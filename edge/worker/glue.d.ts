declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

/** Go's own support code for GOOS=js (wasm_exec.js). */
declare module "*/wasm_exec.js";

declare class Go {
  readonly importObject: WebAssembly.Imports;
  readonly exited: boolean;
  run(instance: WebAssembly.Instance, context: unknown): Promise<void>;
}
