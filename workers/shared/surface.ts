/**
 * The router is built from the surface documents: a surface without a handler, or a handler without a surface, stops
 * the Worker (and every test and build that imports it) at start.
 * Source: contracts/surfaces/*.json, contracts/spec/gateway.md.
 */
import { SURFACES, type Surface, type SurfaceName, TalosError } from "@talos/contracts";
import { Hono, type MiddlewareHandler } from "hono";
import { onError, PublicError } from "./errors.ts";
import type { AppEnv, AuthorizePort, Handlers } from "./ports.ts";

export interface AppParts {
  handlers: Handlers;
  authorize: AuthorizePort;
  /** request id, trace, log, configuration, bounds: run before everything, in order */
  first: MiddlewareHandler<AppEnv>[];
  /** whether this deployment has the tenant; anything else is 404 before an object is named */
  tenantListed(c: Parameters<MiddlewareHandler<AppEnv>>[0], tenant: string): boolean;
}

/** `/t/{tenant}/v1/head` as Hono writes it; a last `{path}` spans segments. */
export const routePath = (path: string): string =>
  path.replace(/\{path\}$/, ":path{.+}").replace(/\{([a-z_]+)\}/g, ":$1");

/**
 * The names of both sides, compared.
 * @throws Error naming what is missing on either side
 */
export function checkComplete(surfaces: readonly string[], handlers: readonly string[]): void {
  const missing = surfaces.filter((name) => !handlers.includes(name));
  const unknown = handlers.filter((name) => !surfaces.includes(name));
  if (missing.length > 0 || unknown.length > 0) {
    throw new Error(
      `surfaces without a handler: [${missing.join(", ")}]; handlers without a surface: [${unknown.join(", ")}]`,
    );
  }
}

/** The whole HTTP application. */
export function surfaceApp(parts: AppParts): Hono<AppEnv> {
  const names = Object.keys(SURFACES) as SurfaceName[];
  checkComplete(names, Object.keys(parts.handlers));
  const app = new Hono<AppEnv>();
  app.onError(onError);
  app.notFound(() => {
    throw new TalosError("route.unknown");
  });
  for (const step of parts.first) app.use(step);

  const methodsByPath = new Map<string, string[]>();
  for (const name of names) {
    const surface: Surface = SURFACES[name];
    const path = routePath(surface.path);
    methodsByPath.set(path, [...(methodsByPath.get(path) ?? []), surface.method]);
    const decided = surface.permission === "grant" || surface.permission === "holder";
    const steps = [enter(name, surface, parts), ...(decided ? [parts.authorize.authorized(name)] : [])];
    app.on(surface.method, [path], ...steps, parts.handlers[name]);
  }
  for (const [path, methods] of methodsByPath) {
    app.all(path, () => {
      throw new PublicError("method.not_allowed", { allow: methods.join(", ") });
    });
  }
  return app;
}

/** Name the surface and its tenant. HEAD reaches GET routes through the router; only public surfaces answer it. */
function enter(name: SurfaceName, surface: Surface, parts: AppParts): MiddlewareHandler<AppEnv> {
  const ofTenant = surface.path.startsWith("/t/{tenant}/");
  return async (c, next) => {
    c.set("surface", name);
    if (c.req.raw.method !== surface.method && surface.permission !== "public") {
      throw new PublicError("method.not_allowed", { allow: surface.method });
    }
    if (ofTenant) {
      const tenant = c.req.param("tenant") ?? "";
      if (!parts.tenantListed(c, tenant)) throw new TalosError("tenant.unknown");
      c.set("tenant", tenant);
    }
    await next();
  };
}
