/** Instantiation of the core, again and again: what an isolate pays before its first decision. */
import module from "../../crypto-wasm/pkg/talos_core_bg.wasm";
import { must, serve } from "./serve.ts";

/** Imports are only called once something runs; instantiation needs their names. */
const imports: Record<string, Record<string, () => undefined>> = {};
for (const { module: from, name } of WebAssembly.Module.imports(module)) {
  imports[from] ??= {};
  imports[from][name] = () => undefined;
}

export default serve(() => ({
  instantiate: {
    run(n) {
      for (let i = 0; i < n; i += 1) must("memory" in new WebAssembly.Instance(module, imports).exports, "an instance");
    },
  },
}));
