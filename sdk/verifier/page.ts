/**
 * The verifier as a page: the same module and the same lines as `talos audit verify`. It may not reach the network, by its
 * own policy, unless its address names a node after `#node=`; then it may reach that one.
 */
const named = new URLSearchParams(location.hash.slice(1)).get("node");
const node = named !== null && URL.canParse(named) ? new URL(named) : undefined;
const meta = document.createElement("meta");
meta.httpEquiv = "Content-Security-Policy";
meta.content = `connect-src ${node ? node.origin : "'none'"}`;
document.head.append(meta);

// Imported after the policy stands.
const [{ verifyBundle }, { verdictLines }, { askNode, readBlock, readHeader, readRegistry }] = await Promise.all([
  import("@talos/core/verify"),
  import("./report.ts"),
  import("./trust.ts"),
]);

/** As the contract bounds a bundle and a policy; what is larger is not read. */
const BYTES = 524_288;

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const input = (id: string) => element<HTMLInputElement>(id);
const lines = (id: string) =>
  element<HTMLTextAreaElement>(id)
    .value.split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

async function file(id: string): Promise<Uint8Array> {
  const [chosen] = input(id).files ?? [];
  if (!chosen) throw new RangeError(`no ${id} was chosen`);
  if (chosen.size > BYTES) throw new RangeError(`the ${id} is larger than ${BYTES} bytes`);
  return new Uint8Array(await chosen.arrayBuffer());
}

async function run(): Promise<{ code: string; text: string }> {
  const [bundle, policy] = [await file("bundle"), await file("policy")];
  const trust = {
    blocks: lines("blocks").map(readBlock),
    registries: lines("registries").map(readRegistry),
    headers: lines("headers").map((line) => readHeader(line)),
  };
  let verdict = await verifyBundle({ file: bundle, policy, trust });
  if (verdict.ok && node) trust.blocks.push(...(await askNode(node.href, verdict.anchors)));
  const require = (["evm", "ots"] as const).filter((kind) => input(kind).checked);
  if (verdict.ok) verdict = await verifyBundle({ file: bundle, policy, trust: { ...trust, require } });
  return { code: verdict.ok ? "OK" : verdict.code, text: verdictLines(verdict).join("\n") };
}

function show({ code, text }: { code: string; text: string }): void {
  const verdict = element<HTMLPreElement>("verdict");
  verdict.textContent = text; // text only: nothing of a file becomes markup
  verdict.dataset.code = code;
}

input("node").value = node?.href ?? "";
element<HTMLFormElement>("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = input("node").value.trim();
  if (wanted !== (node?.href ?? "")) {
    location.hash = wanted === "" ? "" : `node=${encodeURIComponent(wanted)}`;
    location.reload(); // another policy needs another page
    return;
  }
  show({ code: "", text: "…" });
  try {
    show(await run());
  } catch (error) {
    show({ code: "usage", text: error instanceof Error ? error.message : String(error) });
  }
});
for (const id of ["bundle", "policy"]) {
  const target = input(id).closest("label")!;
  target.addEventListener("dragover", (event) => event.preventDefault());
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer) input(id).files = event.dataTransfer.files;
  });
}
document.documentElement.dataset.ready = "yes";

export {};
