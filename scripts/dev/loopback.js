// Preloaded into a server that would listen on every interface: it listens on loopback, and says on which port, so that
// it can be given port 0 and no two programs race for a number.
import net from "node:net";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function listenOnLoopback(port, ...rest) {
  const callback = rest.find((value) => typeof value === "function");
  this.once("listening", () => process.stdout.write(`listening on loopback port ${this.address().port}\n`));
  return listen.call(this, { port: Number(port), host: "127.0.0.1" }, callback);
};
