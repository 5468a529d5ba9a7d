#!/usr/bin/env bash
# A job in one process and in many: the files are the same to the byte, also where a process was killed and another number
# of them went on.
#
#     mpi.sh MPIEXEC DAGUERRE MODEL EMPTY_FOLDER
#
# Ends with 77 where MPI itself cannot start processes.
set -uo pipefail
mpiexec=$1 daguerre=$2 model=$3 work=$4

fail() {
  echo "FAILED: $*"
  exit 1
}

# Open MPI's settings for a machine without a network, with fewer processors than processes, as root.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_plm=isolated OMPI_MCA_btl=self,vader \
  OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export ASAN_OPTIONS=detect_leaks=0  # MPI's own
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
printf 'red apple\nblue car\nsmiling face\n' >prompts.txt

if ! timeout 60 "$mpiexec" -n 2 true >start.log 2>&1; then
  echo "MPI cannot start two processes here:"
  cat start.log
  exit 77
fi

job=(sample --model "$model" --prompts prompts.txt --count 20 --seed 7 --steps 3 --guidance 3 --chunk 2 --engine native
  --precision f32 --threads 1 --quiet)

# Runs the job in $1 processes, with the folder $2 and more options behind it; each leaves its process id.
in_processes() {
  local count=$1 folder=$2
  shift 2
  timeout 120 "$mpiexec" -n "$count" bash -c 'echo $$ >"pid.${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"; exec "$@"' - \
    "$daguerre" "${job[@]}" --out "$folder" "$@"
}

same_files() {
  diff -r "$1" "$2" || fail "$2 differs from $1"
}

"$daguerre" "${job[@]}" --out one >one.txt || fail "one process"
[ "$(cat one.txt)" = one/index.jsonl ] || fail "the index is not named: $(cat one.txt)"
[ "$(wc -l <one/index.jsonl)" = 20 ] || fail "the index has not 20 lines"
[ "$(find one -name 'shard-*.tar' | wc -l)" = 10 ] || fail "there are not 10 shards"
tar -tf one/shard-000004.tar | tr '\n' ' ' | grep -qx '000008.png 000008.txt 000008.json 000009.png 000009.txt 000009.json ' ||
  fail "tar lists other names"

in_processes 2 two >two.txt || fail "two processes"
[ "$(cat two.txt)" = two/index.jsonl ] || fail "not one process speaks: $(cat two.txt)"
same_files one two
in_processes 4 four >/dev/null || fail "four processes"
same_files one four

# Process 1 is killed in the middle: all end, what is done stays, and three others go on.
in_processes 2 killed >/dev/null 2>killed.log &
job_id=$!
for _ in $(seq 600); do
  [ "$(find killed -name 'shard-*.tar' 2>/dev/null | wc -l)" -ge 2 ] && break
  sleep 0.02
done
kill -9 "$(cat pid.1)" || fail "there is no process 1"
wait "$job_id" && fail "the others did not see that one was killed"
[ ! -e killed/index.jsonl ] || fail "nothing was left to do when the process was killed"
left=$(find killed -name 'shard-*.tar' | wc -l)
[ "$left" -ge 1 ] || fail "nothing of what was done is kept"
echo "$left of 10 shards were there when a process was killed"
in_processes 3 killed >/dev/null || fail "the job does not go on"
same_files one killed

# PNG files instead of shards, and another job's folder: one line, of one process.
"$daguerre" "${job[@]}" --out loose --loose >/dev/null || fail "loose pictures"
in_processes 2 loose2 --loose >/dev/null || fail "loose pictures of two processes"
same_files loose loose2
tar -xOf one/shard-000004.tar 000009.png | cmp - loose/000009.png || fail "pictures in shards are others"
in_processes 2 two --steps 4 >/dev/null 2>refused.log && fail "the folder of another job is taken"
[ "$(grep -c '^daguerre: .*two: is the folder of another job: "request.steps" is 3 there, 4 now' refused.log)" = 1 ] ||
  fail "not one line says what is wrong: $(cat refused.log)"
timeout 60 "$mpiexec" -n 2 "$daguerre" inspect "$model" >/dev/null 2>refused.log && fail "inspect runs twice"
grep -q 'does not share its work out among 2 processes' refused.log || fail "$(cat refused.log)"
echo "passed"
