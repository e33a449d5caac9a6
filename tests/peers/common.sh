# What the scripts of real peers share: an engine and its neighbours on loopback, started and ended by process id. Sourced, never run.
# Who sources it stands in the root of the checkout, and has set `najda` (the program) and `work` (a scratch folder).

started=()

# Ends everything that was started here, and takes the scratch folder away.
end_all() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}

# end PID: ends one of them now. With -9 before it: without a chance to say goodbye.
end() {
    kill "$@" 2>/dev/null || true
    wait "${@: -1}" 2>/dev/null || true
}

# free_port: one that nobody uses for UDP or TCP, below those that the system gives away; never the same one twice.
handed_out=" "
free_port() {
    local hex
    while :; do
        port=$((20000 + RANDOM % 12000))
        hex=$(printf ':%04X ' "$port")
        [[ $handed_out == *" $port "* ]] && continue
        grep -qs "$hex" /proc/net/udp /proc/net/tcp /proc/net/udp6 /proc/net/tcp6 && continue
        handed_out+="$port "
        return
    done
}

# local_tables DIR PORT [ROOM=PORT]...: the shipped tables, with every room's telephone on this machine: sip:ROOM@127.0.0.1:PORT.
# Rooms that share a desk (room column) keep one address.
local_tables() {
    local dir=$1 port=$2 own
    shift 2
    cp -r routing-tables/uae "$dir"
    own="$*"
    awk -v port="$port" -v own="$own" 'BEGIN { n = split(own, part, " "); for (i = 1; i <= n; i++) { split(part[i], row, "="); at[row[1]] = row[2] } }
        /^#/ || /^id,/ { print; next }
        { id = substr($0, 1, index($0, ",") - 1); if (match($0, /,sip:[^,]*,/)) { found = substr($0, RSTART + 1, RLENGTH - 2)
          name = found; sub(/^sip:/, "", name); sub(/\.najda\.example$/, "", name); gsub(/@/, "-at-", name)
          $0 = substr($0, 1, RSTART) "sip:" name "@127.0.0.1:" ((id in at) ? at[id] : port) substr($0, RSTART + RLENGTH - 1) }; print }' \
        routing-tables/uae/dispatchers.csv >"$dir/dispatchers.csv"
}

# room_uri TABLES ID: where a room's telephone is.
room_uri() {
    awk -F, -v id="$2" '$1 == id && match($0, /,sip:[^,]*,/) { print substr($0, RSTART + 1, RLENGTH - 2) }' "$1/dispatchers.csv"
}

# places TABLES COUNT FILE: places all over the country and the address of the room that answers for each, "lat;lon;uri" as sipp reads it.
places() {
    awk -v count="$2" 'BEGIN { srand(7); for (n = 0; n < count; n++) printf "{\"id\":\"%d\",\"door\":\"sip-voice\",\"urn\":\"urn:service:sos.police\",\"lat\":%.6f,\"lon\":%.6f}\n", n, 22.8 + 3.2 * rand(), 51.6 + 4.8 * rand() }' >"$work/places.jsonl"
    "$najda" explain --tables "$1" --jsonl <"$work/places.jsonl" | jq -r '[.id, .services[0].chain[0]] | @tsv' >"$work/rooms.tsv"
    jq -r '[.id, .lat, .lon] | @tsv' "$work/places.jsonl" >"$work/places.tsv"
    awk -F, '!/^#/ && match($0, /,sip:[^,]*,/) { print $1 "\t" substr($0, RSTART + 1, RLENGTH - 2) }' "$1/dispatchers.csv" >"$work/uris.tsv"
    echo SEQUENTIAL >"$3"
    awk -F'\t' -v OFS=';' 'FILENAME ~ /uris/ { uri[$1] = $2; next } FILENAME ~ /rooms/ { room[$1] = $2; next } uri[room[$1]] { print $2, $3, uri[room[$1]], "" }' \
        "$work/uris.tsv" "$work/rooms.tsv" "$work/places.tsv" >>"$3"
}

# What stands before the program when it is started: a tracer that lets a disk fail, for one.
engine_under=()

# start_engine TABLES [SERVE-ARGUMENT]...: sets `engine` (process), `sip` and `http` (addresses).
start_engine() {
    local tables=$1
    shift
    [ -d "$work/certs" ] || "$najda" certs dev --dir "$work/certs" >/dev/null
    rm -f "$work/ready"
    "${engine_under[@]}" "$najda" serve --listen 127.0.0.1:0 --sip "${sip_listen:-127.0.0.1:0}" --http 127.0.0.1:0 --certs "$work/certs" --state "$work/state" --tables "$tables" "$@" \
        >"$work/ready" 2>>"$work/engine.log" &
    engine=$!
    started+=("$engine")
    for _ in $(seq 600); do
        if grep -qs '^ready' "$work/ready"; then
            sip=$(sed -n 's/^ready .*udp:\([0-9.:]*\).*/\1/p' "$work/ready")
            http=$(sed -n 's/^ready .*http=\([0-9.:]*\).*/\1/p' "$work/ready")
            return
        fi
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.05
    done
    tail -n 20 "$work/engine.log"
    return 1
}

# start_kamailio NAME CONFIGURATION PORT DEFINE...: sets `kamailio` (process); it listens on 127.0.0.1:PORT when this returns.
start_kamailio() {
    local name=$1 configuration=$2 port=$3 define arguments=()
    shift 3
    for define in "LISTEN=udp:127.0.0.1:$port" "$@"; do arguments+=(-A "$define"); done
    mkdir -p "$work/$name"
    kamailio -f "$configuration" -DD -E -n "${kamailio_children:-4}" -m 64 -M 8 -Y "$work/$name" -w "$work/$name" -P "$work/$name/pid" "${arguments[@]}" \
        >"$work/$name.log" 2>&1 &
    kamailio=$!
    started+=("$kamailio")
    for _ in $(seq 200); do
        kill -0 "$kamailio" 2>/dev/null || break
        # Every child speaks once it has begun; before that the port is bound and nobody answers.
        if grep -qs "$(printf '0100007F:%04X ' "$port")" /proc/net/udp; then
            sleep 0.3
            kill -0 "$kamailio" 2>/dev/null && return
            break
        fi
        sleep 0.05
    done
    grep -v 'INFO' "$work/$name.log" | head -n 20
    return 1
}

# start_room NAME PORT SCENARIO: a room's telephone, played by sipp; sets `room` (process).
start_room() {
    (cd "$work" && exec sipp -sf "$3" -i 127.0.0.1 -p "$2" -nostdin -trace_err -error_file "$work/$1.err" >"$work/$1.out" 2>&1) &
    room=$!
    started+=("$room")
    for _ in $(seq 100); do
        grep -qs "$(printf '0100007F:%04X ' "$2")" /proc/net/udp && return
        sleep 0.05
    done
    cat "$work/$1.err"
    return 1
}

# statistic FILE NAME: what sipp counted at its end.
statistic() {
    tail -n 1 "$1" | awk -F';' -v name="$2" -v head="$(head -n 1 "$1")" '{ count = split(head, names, ";"); for (i = 1; i <= count; i++) if (names[i] == name) print $i }'
}

# ticks PID...: of the clock, user and system, that these processes and their children used.
ticks() {
    local pid all=()
    for pid in "$@"; do all+=("$pid" $(cat "/proc/$pid/task"/*/children 2>/dev/null || true)); done
    for pid in "${all[@]}"; do cat "/proc/$pid/stat" 2>/dev/null || true; done | sed 's/^.*) //' | awk '{ all += $12 + $13 } END { print all + 0 }'
}
