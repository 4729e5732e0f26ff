#!/bin/sh
# Runs what was packed on this machine's GPU: conformance on CUDA and on Vulkan, compute-sanitizer over the suite on CUDA, and
# the benchmarks. Prints one table, and keeps everything that was said in the folder `said`. Exits with 1 if anything failed.
cd "$(dirname "$0")" || exit 1
mkdir -p said
: > said/table
failed=0

row() { printf '%s\t%s\n' "$1" "$2" >> said/table; }
# What, the file for its words, the command: the last line that it says is the result. Without such a device it is not run.
step() {
  title=$1; words=said/$2; shift 2
  echo "… $title" >&2
  if "$@" > "$words" 2>&1; then row "$title" "$(tail -n 1 "$words")"
  elif grep -q 'error GPU001' "$words"; then row "$title" "not run: $(grep -m 1 'error GPU001' "$words")"
  else failed=1; row "$title" "FAILED: $(grep -m 1 -E 'FAILED|error|ERROR' "$words" || tail -n 1 "$words")"; fi
}
# A row for the device, for each suite, and for the first cases that failed.
suites() {
  title="conformance on $1"; words=said/conformance-$1.txt
  echo "… $title" >&2
  if ./conformance cases --target "$1" > "$words" 2>&1; then :
  elif grep -q 'error GPU001' "$words"; then row "$title" "not run: $(head -n 1 "$words")"; return
  else failed=1; fi
  row "$title" "$(head -n 1 "$words")"
  grep ' passed$' "$words" | while read -r line; do row "$title" "$line"; done
  grep -m 5 FAILED "$words" | while read -r line; do row "$title" "$line"; done
}
# What, the executable and its arguments, on either target.
bench() {
  name=$1; shift
  for target in cuda vulkan; do step "$name, $target" "bench-$1-$2-$target.txt" "./$@" --bench --target "$target"; done
}

row device "$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2> /dev/null || echo 'no NVIDIA driver')"
suites cuda
suites vulkan
for tool in memcheck racecheck; do
  if command -v compute-sanitizer > /dev/null; then step "compute-sanitizer $tool" "$tool.txt" compute-sanitizer --tool $tool --error-exitcode 3 ./conformance cases --target cuda
  else row "compute-sanitizer $tool" "not run: this machine has no compute-sanitizer"; fi
done
bench "enhance 600x400" noiser enhance --dim H=400 --dim W=600
bench "training step" noiser learn
bench "100 launches" launches step
if python3 -c 'import torch; assert torch.cuda.is_available()' 2> /dev/null; then
  python3 peer.py 2> said/peer-errors.txt | tee said/peer.txt | while read -r line; do row PyTorch "$line"; done
else row PyTorch "not run: no python3 with torch that has CUDA"; fi

awk -F '\t' '{ if (length($1) > w) w = length($1); a[NR] = $1; b[NR] = $2 } END { for (i = 1; i <= NR; i++) printf "%-" w "s  %s\n", a[i], b[i] }' said/table
exit $failed
