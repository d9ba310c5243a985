# start_postgres: a throwaway PostgreSQL cluster on a free loopback port; sets TALOS_TEST_DATABASE_URL. stop_postgres ends it.
start_postgres() {
  local bin port user
  bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
  if [ -z "$bin" ]; then
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql) >/dev/null
    bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  fi
  pg_data=$(mktemp -d)
  pg_bin=$bin
  user=$(id -un)
  pg_as=()
  if [ "$(id -u)" = 0 ]; then # the server refuses to run as root
    chown postgres "$pg_data"
    pg_as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    user=postgres
  fi
  # Below what the kernel gives to connections by itself: nobody takes it between here and the start.
  port=$(node -e 'const net = require("net"); const t = () => { const s = net.createServer(); const p = 20000 + Math.floor(Math.random() * 12000);
    s.on("error", t).listen(p, "127.0.0.1", () => s.close(() => console.log(p))); }; t()')
  "${pg_as[@]}" "$bin/initdb" -D "$pg_data/db" -U talos --auth=trust --encoding=UTF8 >/dev/null
  "${pg_as[@]}" "$bin/pg_ctl" -D "$pg_data/db" -w -l "$pg_data/log" -o "-h 127.0.0.1 -p $port -k $pg_data -c fsync=off" start >/dev/null
  export TALOS_TEST_DATABASE_URL="postgres://talos@127.0.0.1:$port/postgres"
}
stop_postgres() {
  [ -n "${pg_data:-}" ] || return 0
  "${pg_as[@]}" "$pg_bin/pg_ctl" -D "$pg_data/db" -m immediate stop >/dev/null || true
  rm -rf "$pg_data"
}
