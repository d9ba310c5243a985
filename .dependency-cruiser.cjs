// Who may import whom (docs/architecture in the README's drawing): a boundary that no tool guards is a wish.
const to = (path) => ({ path });
module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "contracts-import-nothing",
      severity: "error",
      from: to("^contracts/gen/"),
      to: to("^(crypto-wasm|durable-objects|workers|sdk|scripts)/"),
    },
    {
      name: "core-imports-contracts-only",
      severity: "error",
      from: { path: "^crypto-wasm/", pathNot: "\\.test\\.ts$" },
      to: to("^(durable-objects|workers|sdk|scripts|test)/"),
    },
    {
      name: "objects-know-no-workers",
      severity: "error",
      from: { path: "^durable-objects/", pathNot: "\\.test\\.ts$" },
      to: to("^(workers|sdk|scripts|test)/"),
    },
    {
      name: "sdk-imports-contracts-and-core-only",
      severity: "error",
      from: { path: "^sdk/", pathNot: "\\.test\\.ts$" },
      to: to("^(durable-objects|workers|scripts|test)/"),
    },
    {
      name: "the-hot-path-holds-no-sql",
      severity: "error",
      from: to("^workers/(gateway|shared)/"),
      to: to("^workers/db/|node_modules/(drizzle-orm|@neondatabase)"),
    },
    {
      name: "objects-hold-no-sql-client",
      severity: "error",
      from: to("^durable-objects/"),
      to: to("node_modules/(drizzle-orm|@neondatabase)"),
    },
    {
      name: "services-do-not-import-each-other",
      severity: "error",
      from: to("^workers/(gateway|audit|config|ai|admin|meta|witness)/"),
      to: { path: "^workers/(gateway|audit|config|ai|admin|meta|witness)/", pathNot: "^workers/$1/" },
    },
    {
      name: "shipped-code-imports-no-tests",
      severity: "error",
      from: { path: "^(crypto-wasm|durable-objects|workers|sdk)/", pathNot: "\\.test\\.ts$" },
      to: to("^test/|\\.test\\.ts$"),
    },
    {
      name: "shipped-code-imports-no-dev-dependency",
      severity: "error",
      from: { path: "^(crypto-wasm|durable-objects|workers|sdk)/", pathNot: "\\.test\\.ts$" },
      to: {
        dependencyTypes: ["npm-dev"],
        dependencyTypesNot: ["type-only"],
        pathNot: "node_modules/@cloudflare/workers-types",
      },
    },
    {
      name: "nothing-unresolvable",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^(cloudflare:|node:|talos:)" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(target|\\.talos|\\.wrangler)/" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["workerd", "import", "types", "node", "default"],
      mainFields: ["module", "main", "types"],
    },
  },
};
