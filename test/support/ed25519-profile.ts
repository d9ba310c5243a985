/**
 * The one Ed25519 profile, wherever the core runs: the same table in Node and in workerd, judged by the core alone (wasm) and by
 * the edge path (the core's byte checks, then WebCrypto).
 */
import { ed25519Precheck, ed25519Verify, verifyChecks } from "../../crypto-wasm/index.ts";

export interface SignatureCase {
  name: string;
  key_hex: string;
  message_hex: string;
  signature_hex: string;
  valid: boolean;
}

export interface Verdicts {
  /** The core's own verifier. */
  wasm: boolean;
  /** What a gateway does: byte checks in the core, the equation in WebCrypto. */
  edge: boolean;
  /** WebCrypto alone, which is nobody's answer: where it differs, the byte checks decided. */
  bare: boolean;
}

interface WycheproofFile {
  testGroups: {
    publicKey: { pk: string };
    tests: { tcId: number; comment: string; msg: string; sig: string; result: string }[];
  }[];
}

/** Wycheproof's file as cases of our form. */
export function wycheproofCases(text: string): SignatureCase[] {
  const { testGroups } = JSON.parse(text) as WycheproofFile;
  return testGroups.flatMap(({ publicKey, tests }) =>
    tests.map(({ tcId, comment, msg, sig, result }) => ({
      name: `${tcId} ${comment}`,
      key_hex: publicKey.pk,
      message_hex: msg,
      signature_hex: sig,
      valid: result === "valid",
    })),
  );
}

const bytes = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

export async function verdicts(one: SignatureCase): Promise<Verdicts> {
  const [key, message, signature] = [bytes(one.key_hex), bytes(one.message_hex), bytes(one.signature_hex)];
  // The core hands out keys of 32 and signatures of 64 bytes by their types; other lengths have no edge path.
  const whole = key.length === 32 && signature.length === 64;
  const [verified] = whole ? await verifyChecks([{ key, signature, message, record: new Uint8Array() }]) : [];
  const bare = verified?.ok === true;
  return { wasm: ed25519Verify(key, signature, message), edge: ed25519Precheck(key, signature) && bare, bare };
}

/** The cases whose verdicts are not what the profile says, and how often the byte checks alone decided. */
export async function judgeAll(cases: SignatureCase[]): Promise<{ wrong: string[]; byBytes: number; valid: number }> {
  const wrong: string[] = [];
  let [byBytes, valid] = [0, 0];
  for (const one of cases) {
    const { wasm, edge, bare } = await verdicts(one);
    if (wasm !== one.valid) wrong.push(`${one.name}: wasm says ${wasm}`);
    if (edge !== one.valid) wrong.push(`${one.name}: the edge path says ${edge}`);
    byBytes += Number(bare && !edge);
    valid += Number(one.valid);
  }
  return { wrong, byBytes, valid };
}
