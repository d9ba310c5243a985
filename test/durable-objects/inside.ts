/** What a test sees and changes inside an object, past its own calls. */
import { runInDurableObject } from "cloudflare:test";

/** Rows of its database. */
export const rowsOf = (stub: DurableObjectStub<undefined>, sql: string) =>
  runInDurableObject(stub, (_, { storage }) => storage.sql.exec(sql).toArray());

/** From now on the instance has other bindings, variables or secrets, until it is evicted. */
export const rebind = (stub: DurableObjectStub<undefined>, more: object): Promise<void> =>
  runInDurableObject(stub, (instance) => {
    const inside = instance as unknown as { env: object };
    inside.env = { ...inside.env, ...more };
  });
