/** A wasm-bindgen module of the bundler kind, started in workerd, which hands out compiled modules instead of instances. */
export function start(module, name, glue, more = {}) {
  const { exports } = new WebAssembly.Instance(module, { [name]: glue, ...more });
  glue.__wbg_set_wasm(exports);
  exports.__wbindgen_start();
}
