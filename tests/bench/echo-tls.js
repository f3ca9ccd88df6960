// An echo server over TLS as one usually writes it for node, for scripts/bench.
//
// usage: node echo-tls.js PORT CERT KEY
const fs = require("fs");
const tls = require("tls");
const [port, cert, key] = process.argv.slice(2);
const options = { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
const server = tls.createServer(options, (socket) => {
  socket.setNoDelay(true);
  socket.on("error", () => {});
  socket.on("data", (data) => socket.write(data));
});
server.listen(Number(port), "127.0.0.1", () =>
  console.log("listening on 127.0.0.1:" + server.address().port));
