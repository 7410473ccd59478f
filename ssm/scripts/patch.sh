#!/usr/bin/env bash
set -euo pipefail
export LC_ALL=C
umask 022
operation='{{ Operation }}' release='{{ Release }}' reboot_option='{{ RebootOption }}'
health_url='{{ HealthUrl }}' health_seconds='{{ HealthSeconds }}' wait_seconds='{{ WaitSeconds }}'
# Of one command. Older agents don't say its id, but the script's own path has it.
command_id=${SSM_COMMAND_ID:-${0//\//_}}
root=/var/lib/fleet-patch state=/var/lib/fleet-patch/$command_id log=/var/log/fleet-patch/$command_id.log
agent=amazon-ssm-agent.service rebooted=false deadline=$((SECONDS + wait_seconds))

# Systems Manager keeps 24,000 bytes of output, so that is for the report alone: what happens on the way is in the log.
note() { echo "$(date '+%F %T') $*" >>"$log"; }
fail() { note "$*"; echo "$*" >&2; exit 1; }

# Packages ------------------------------------------------------------------------------------------------------------------------------

# A dead repository is an error, whatever its own file says: what it would have offered is not known. `*` is not understood by yum.
packages=(yum)
if command -v dnf >/dev/null; then packages=(dnf); fi
packages+=(--setopt=exit_on_lock=1)
while read -r repository; do packages+=("--setopt=$repository.skip_if_unavailable=0"); done < <(
  sed -nE 's/^[[:space:]]*\[([^]]+)\].*/\1/p' /etc/yum.conf /etc/dnf/dnf.conf /etc/{yum.repos.d,yum/repos.d,distro.repos.d}/*.repo 2>/dev/null |
    grep -vx main | sort -u
)

process() { echo "process $1 ($(tr '[:cntrl:]' ' ' <"/proc/$1/cmdline" 2>/dev/null | cut -c1-200))"; }

# Who holds the lock of yum, dnf (files with a process' id) or rpm (a lock on a file of its database).
lock_holders() {
  local file pid inode
  for file in /run/yum.pid /var/lib/dnf/rpmdb_lock.pid /var/cache/dnf/metadata_lock.pid /var/cache/dnf/download_lock.pid; do
    pid=$(cat "$file" 2>/dev/null || true)
    if [ -n "$pid" ] && [ -e "/proc/$pid" ]; then process "$pid"; fi
  done
  inode=$(stat -c %i "$(rpm --eval '%{_dbpath}')/.rpm.lock" 2>/dev/null || true)
  while read -r pid; do process "$pid"; done < <(
    awk -v inode=":${inode:-none}\$" '$2 == "POSIX" && $4 == "WRITE" && $6 ~ inode {print $5}' /proc/locks
  )
}

wait_for_locks() {
  local holders noted=no
  while holders=$(lock_holders | sort -u | paste -sd ' ' -) && [ -n "$holders" ]; do
    if [ "$SECONDS" -ge "$deadline" ]; then fail "the package manager is still locked after $wait_seconds s, by $holders"; fi
    if [ $noted = no ]; then note "waiting for $holders"; noted=yes; fi
    sleep 1
  done
}

# Runs the package manager, its output into the file OUT. In a session of its own: a transaction that the agent kills with this script in
# the middle would leave half of the packages. The lock of this script is held until then.
package_manager() {
  local out=$1 code
  shift
  while :; do
    wait_for_locks
    code=0
    note "${packages[*]:0:1} $*"
    setsid --wait "${packages[@]}" "$@" >"$out" 2>"$state/errors" </dev/null || code=$?
    cat "$out" "$state/errors" >>"$log"
    if [ $code -eq 0 ]; then return; fi
    # Somebody was faster: 200 is exit_on_lock, the text is rpm's.
    if [ $code -ne 200 ] && ! grep -q "transaction lock" "$out" "$state/errors"; then break; fi
    sleep 1
    wait_for_locks
    if [ "$SECONDS" -ge "$deadline" ]; then break; fi
  done
  cat "$out" "$state/errors" | tail -n 15 | tail -c 1200 >&2
  fail "${packages[0]} $* failed with exit code $code; all of its output is in $log"
}

# `latest` is what the repositories call so now. Which one it was is reported, so that the other hosts can be brought to the same.
resolve_release() {
  if ! grep -q '^VERSION_ID="2023"' /etc/os-release; then release=''; return; fi
  if [ -s "$state/release" ]; then release=$(cat "$state/release"); fi
  if [ "$release" = latest ]; then
    package_manager "$state/latest" -q --releasever=latest repoquery --latest-limit=1 --queryformat '%{version}\n' system-release
    release=$(grep -oE '^2023[.][0-9]+[.][0-9]{8}$' "$state/latest" | tail -n 1) || fail "the repositories do not say which release is the latest"
  fi
  if [ -n "$release" ]; then
    packages+=("--releasever=$release")
  else
    release=$(rpm -q --queryformat '%{VERSION}' system-release)
  fi
  echo "$release" >"$state/release"
}

# The advisories whose packages are missing, one a line, whoever publishes them (EPEL, say): id, severity, package.
read_missing() {
  package_manager "$state/advisories" -q updateinfo list security
  awk 'NF == 3 && $2 ~ "^(security|[A-Za-z]+/Sec[.])$" {$1 = $1; print}' "$state/advisories" >"$state/missing"
}

# Reboot --------------------------------------------------------------------------------------------------------------------------------

# Packages that take effect with a reboot, as needs-restarting of yum-utils and dnf-plugins-core lists them. It is not asked: it may not be
# installed, and of kernels it knows the name `kernel` only, where Amazon Linux 2023 has kernel6.12 as well.
kernel='kernel([0-9]+([.][0-9]+)*)?(-rt)?'
core="^($kernel(-core|-modules|-modules-core)?|glibc|linux-firmware|microcode_ctl|systemd|dbus(-broker|-daemon)?)\$"

# Those of them that were installed since the host started.
core_updates() {
  local ticks booted
  ticks=$(sed 's/.*) //' /proc/1/stat | cut -d' ' -f20)
  booted=$(($(sed -n 's/^btime //p' /proc/stat) + ticks / $(getconf CLK_TCK)))
  awk -v booted="$booted" -v core="$core" '$1 >= booted && $2 ~ core {print $2}' "$state/installed" | sort -u
}

# The running kernel against the newest installed one of the same package: an older update may have been left without its reboot. The
# kernel of a container is not its own.
old_kernel() {
  local place running own newest
  place=$(systemd-detect-virt --container || true)
  if [ -z "$place" ]; then fail "systemd-detect-virt does not say whether this is a container: whether a reboot is needed is unknown"; fi
  if [ "$place" != none ]; then return; fi
  running=$(uname -r)
  awk -v names="^$kernel(-core)?\$" '$2 ~ names' "$state/installed" >"$state/kernels"
  own=$(awk -v running="$running" '$3 == running {print $2; exit}' "$state/kernels")
  newest=$(awk -v own="$own" 'own == "" || $2 == own {print $3}' "$state/kernels" | sort -V | tail -n 1)
  if [ -z "$newest" ] || [ -z "$running" ]; then
    fail "whether kernel '$running' is the newest is unknown: rpm lists no installed kernel"
  fi
  if [ "$newest" != "$running" ]; then echo "kernel $newest instead of $running"; fi
}

reboot_reasons() {
  rpm -qa --queryformat '%{INSTALLTIME} %{NAME} %{VERSION}-%{RELEASE}.%{ARCH}\n' >"$state/installed"
  core_updates >"$state/reasons"
  old_kernel >>"$state/reasons"
}

# The agent runs this script again after exit code 194: once the host has been down, or in the same boot if the agent itself was restarted
# before. Until the boot's id has changed the answer is 194 again, to another command as well: the host is about to go down.
go_down() {
  echo "$boot" >"$state/reboot"
  trap - EXIT
  note "$1"
  echo "$1"
  exit 194
}

check_going_down() {
  local mark
  boot=$(cat /proc/sys/kernel/random/boot_id)
  for mark in "$root"/*/reboot; do
    if [ ! -e "$mark" ] || [ "$(cat "$mark")" != "$boot" ]; then continue; fi
    if [ "$reboot_option" = NoReboot ]; then fail "the host is about to reboot, for command $(basename "$(dirname "$mark")")"; fi
    go_down "still going down for the reboot"
  done
  if [ -e "$state/reboot" ]; then rebooted=true; fi
}

# Services ------------------------------------------------------------------------------------------------------------------------------

# Services with a mapped file that an update has replaced: the program itself or a library. This script runs in the agent's unit, in a
# process group of its own; its bash makes nothing of the agent old. Users' own services are theirs.
process_group() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f3; }
stale_services() {
  local maps pid own
  own=$(process_group $$)
  for maps in /proc/[0-9]*/maps; do
    pid=${maps#/proc/}; pid=${pid%/maps}
    if grep -qsE '^[^ ]+ ..x. .* /(usr|lib|lib64|opt)/.*\(deleted\)$' "$maps" && [ "$(process_group "$pid")" != "$own" ]; then
      sed -nE '/:\/user[.]slice\//d; s#^[0-9]+:[^:]*:(/[^/]+[.]slice)*/([^/]+[.]service)(/.*)?$#\2#p' "/proc/$pid/cgroup" 2>/dev/null | head -n 1 || true
    fi
  done | sort -u
}

# auditd's unit lets nobody stop it by systemctl; its package brings an action for `service`.
has_action() { [ -x "/usr/libexec/initscripts/legacy-actions/${1%.service}/restart" ] && command -v service >/dev/null; }
lists() { grep -E "^($1)=" "$state/unit" | tr '= ' '\n' | grep -qx "$2"; }

# How a service is renewed, by its own properties: `systemctl`, `service`, or else the reason why only a reboot does it.
way_to_restart() {
  local target
  # The message bus and the login manager can't be restarted safely.
  case "$1" in dbus*.service | systemd-logind.service) echo "$1"; return ;; esac
  systemctl show -p Id -p Type -p RefuseManualStart -p RefuseManualStop -p Before -p Wants -p Requires "$1" >"$state/unit"
  if ! grep -q '^RefuseManualStop=' "$state/unit"; then fail "systemctl show $1 does not say whether it may be restarted"; fi
  for target in network.target network-online.target; do
    if lists Before $target && lists 'Wants|Requires' $target; then echo "$1 (carries the network)"; return; fi
  done
  if grep -qx Type=oneshot "$state/unit"; then echo "$1 (runs once a boot)"; return; fi
  if ! grep -qxE 'RefuseManualSt(op|art)=yes' "$state/unit"; then echo systemctl
  elif has_action "$1"; then echo service
  else echo "$1 (refuses a restart)"; fi
}

restart() { if [ "$1" = service ]; then service "${2%.service}" restart; else systemctl restart "$2"; fi; }

plan_restarts() {
  local service way
  agent_stale=no
  : >"$state/restarts"
  stale_services >"$state/stale"
  while read -r service; do
    if [ "$service" = "$agent" ]; then agent_stale=yes; continue; fi
    way=$(way_to_restart "$service")
    case "$way" in systemctl | service) echo "$way $service" >>"$state/restarts" ;; *) echo "$way" >>"$state/reasons" ;; esac
  done <"$state/stale"
}

restart_services() {
  local way service failed=()
  if [ -n "$(find /proc/1/maps -readable 2>/dev/null)" ] && grep -qE '^[^ ]+ ..x. .*\(deleted\)$' /proc/1/maps; then
    systemctl daemon-reexec >>"$log" 2>&1 || failed+=("systemd itself")
  fi
  while read -r way service; do
    note "restarting $service"
    if restart "$way" "$service" >>"$log" 2>&1 </dev/null; then echo "$service" >>"$state/restarted"; else failed+=("$service"); fi
  done <"$state/restarts"
  if [ ${#failed[@]} -gt 0 ]; then
    fail "could not restart: ${failed[*]}. They still run what was there before the updates; see systemctl status"
  fi
}

check_health() {
  local end=$((SECONDS + health_seconds)) code
  if [ -z "$health_url" ]; then return; fi
  until code=$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "$health_url") && [ "$code" = 200 ]; do
    if [ "$SECONDS" -ge "$end" ]; then fail "$health_url did not answer 200 within $health_seconds s after the updates, but: $code"; fi
    sleep 1
  done
}

# Report --------------------------------------------------------------------------------------------------------------------------------

# A list of the file's lines, as many as BYTES hold; how many there are is reported beside it.
json_list() {
  sed -e 's/[\\"]/\\&/g' "$1" | awk -v room="$2" '{room -= length($0) + 4; if (room < 0) exit; printf "%s\"%s\"", separator, $0; separator = ", "}'
}
# After the run: a reboot may be needed with NoReboot, or where the reboot did not do.
report() {
  local needed=false
  if [ -s "$state/reasons" ]; then needed=true; fi
  printf '{"operation": "%s", "release": "%s", "updated": [%s], "updated_count": %d, "restarted": [%s], ' "$operation" "$release" \
    "$(json_list "$state/updated" 6000)" "$(wc -l <"$state/updated")" "$(json_list "$state/restarted" 2000)"
  printf '"rebooted": %s, "reboot_needed": %s, "reboot_reasons": [%s], "pending": %d, "missing": [%s], "log": "%s"}\n' "$rebooted" "$needed" \
    "$(json_list "$state/reasons" 2000)" "$(wc -l <"$state/missing")" "$(json_list "$state/missing" 6000)" "$log"
}

# The run -------------------------------------------------------------------------------------------------------------------------------

prepare() {
  (umask 077; mkdir -p "$root" "$(dirname "$log")"; touch "$log")
  exec 9>>"$root/lock"
  if ! flock --wait "$wait_seconds" 9; then fail "another patch command ($(cat "$root/lock")) still runs on this host after $wait_seconds s"; fi
  echo "$command_id" >"$root/lock"
  find "$root" "$(dirname "$log")" -mindepth 1 -maxdepth 1 -mtime +30 -name '*-*' -exec rm -rf {} +
  mkdir -p "$state"
  check_going_down
  trap 'rm -rf "$state"' EXIT
  touch "$state/updated" "$state/restarted"
}

# A first boot may still be installing updates of its own.
wait_for_cloud_init() {
  local code=0
  if ! command -v cloud-init >/dev/null; then return; fi
  timeout "$wait_seconds" cloud-init status --wait >>"$log" 2>&1 || code=$?
  case $code in
    0) ;;
    124) fail "cloud-init is still running after $wait_seconds s; see cloud-init status --long" ;;
    *) note "cloud-init did not end well; see cloud-init status --long. Going on." ;;
  esac
}

prepare
wait_for_cloud_init
package_manager "$state/out" -q clean expire-cache
resolve_release
if [ "$operation" = Scan ]; then
  reboot_reasons
  read_missing
  report
  exit 0
fi

if [ ! -e "$state/before" ]; then rpm -qa | sort >"$state/new"; mv "$state/new" "$state/before"; fi
package_manager "$state/out" -y upgrade --security
rpm -qa | sort | comm -13 "$state/before" - >"$state/updated"
reboot_reasons
plan_restarts
if [ -s "$state/reasons" ] && [ "$reboot_option" = RebootIfNeeded ] && [ $rebooted = false ]; then
  go_down "rebooting, for: $(paste -sd, "$state/reasons" | cut -c1-1000)"
fi
restart_services
check_health
read_missing
# The agent waits for this script and reports for it, so it is restarted afterwards. (systemd 219 has no --collect.)
if [ $agent_stale = yes ]; then
  systemd-run --on-active=15 --timer-property=AccuracySec=1s systemctl restart "$agent" >>"$log" 2>&1
fi
report
