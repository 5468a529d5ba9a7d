# Runs the example programs as a user would and looks at what they write and how they end.
#
#     cli.sh SECTION PROGRAMS MODELS WORK
#
# SECTION is a function below, PROGRAMS the folder of the programs, MODELS that of the recorded pipelines. WORK is made
# anew. The first thing that is not as expected ends the script with status 1.

set -u
section=$1 programs=$2 models=$3 work=$4
sd1=$models/sd1
small="--width 24 --height 16 --steps 3 --threads 1"
rm -rf "$work" && mkdir -p "$work" && cd "$work" || exit 1

fail() {
  echo "FAILED: $*"
  for stream in out err; do echo "--- std$stream"; cat "$stream" 2>/dev/null; done
  exit 1
}

# run STATUS PROGRAM ARGUMENT...: the program ends with that status; its streams are kept in the files out and err.
run() {
  local expected=$1
  shift
  "$programs/$1" "${@:2}" >out 2>err
  local status=$?
  [ $status -eq "$expected" ] || fail "status $status, expected $expected: $*"
}

# Makes a small picture; $1 is the expected status, the rest are further options.
txt2img() {
  local expected=$1
  shift
  # shellcheck disable=SC2086
  run "$expected" daguerre txt2img --model "$sd1" --prompt "a lighthouse at dawn" $small "$@"
}

out_is() { [ "$(cat out)" = "$1" ] || fail "stdout should be: $1"; }
out_has() { grep -qF -- "$1" out || fail "stdout lacks: $1"; }
err_has() { grep -qE -- "$1" err || fail "stderr lacks: $1"; }
# All of stderr is one line, and it matches.
one_error() {
  [ "$(wc -l <err)" -eq 1 ] || fail "stderr should be one line"
  err_has "^daguerre: .*$1"
}
there() { [ -s "$1" ] || fail "$1 was not written"; }
absent() { [ ! -e "$1" ] || fail "$1 should not be there"; }
same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
differ() { ! cmp -s "$1" "$2" || fail "$1 and $2 are equal"; }

# Makes a small film; $1 is the expected status, the rest are further options.
txt2vid() {
  local expected=$1
  shift
  run "$expected" daguerre txt2vid --model "$models/ltx_095" --prompt waves --width 64 --height 32 --frames 9 --steps 2 \
    --guidance 1 --threads 1 --seed 3 "$@"
}

section_films() {
  txt2vid 0 --out a.gif --sheet sheet.png
  out_is "a.gif
sheet.png"
  run 0 daguerre inspect a.gif
  out_has 'a.gif: GIF, 64 x 32, 9 frames, 25 a second'
  out_has 'Prompt: waves'
  out_has 'Frames: 9'
  txt2vid 0 --out b.gif --quiet
  [ ! -s err ] || fail "--quiet should be silent"
  same a.gif b.gif
  txt2vid 0 --out -
  [ "$(head -c 9 out)" = YUV4MPEG2 ] || fail "standard output should be Y4M"
  mv out c.y4m
  run 0 daguerre inspect --raw c.y4m
  out_has 'Steps: 2'
  txt2vid 0 --fps 12.5 --out frames
  there frames/00008.png
  run 0 daguerre inspect --json frames
  out_has '"frame_rate": 12.5'
  txt2vid 1 --out frames
  one_error 'frames: holds pictures already, as 0000[0-9].png'
  txt2vid 0 --image frames/00000.png --condition frames/00003.png@8:0.5 --out d.png
  run 0 daguerre inspect d.png
  out_has 'Film condition 1: Frame: 8, Pictures: 1, Strength: 0.5'
  txt2vid 0 --count 2 --out e.apng
  there e_1.apng
  there e_2.apng
  txt2vid 0 --frames 12 --out f.gif
  err_has 'warning: .*12 frames were asked for.*makes 9'
  # What is cut short is told by inspect, too.
  local extension
  for extension in gif apng y4m webp mkv mp4; do
    if ! "$programs/daguerre" txt2vid --model "$models/ltx_095" --prompt waves --width 64 --height 32 --frames 9 --steps 1 \
      --guidance 1 --threads 1 --seed 3 --out "whole.$extension" >out 2>err; then
      err_has 'this build has no'
      continue
    fi
    run 0 daguerre inspect "whole.$extension"
    out_has 'Prompt: waves'
    head -c $(($(wc -c <"whole.$extension") * 2 / 3)) "whole.$extension" >"cut.$extension"
    run 1 daguerre inspect "cut.$extension"
    one_error "cut.$extension: .*cut short"
  done
  txt2vid 1 --frames 1000000 --out g.gif
  one_error 'frames is 1000000, expected 1 to 100000'
  txt2vid 1 --frames 0 --out g.gif
  one_error 'a film of 0 frames'
  txt2vid 1 --width 65 --out g.gif
  one_error '65'
  txt2vid 1 --out g.xyz
  one_error 'g.xyz: films are written as .*\.gif .png'
  txt2vid 1 --init-video a.gif --frames 9 --out g.gif
  one_error 'takes no film'
  : >empty.gif
  txt2vid 1 --init-video empty.gif --out g.gif
  one_error 'empty.gif: is empty'
  head -c 700 a.gif >cut.gif
  txt2vid 1 --condition cut.gif@0 --out g.gif
  one_error 'cut.gif: the GIF film is cut short'
  txt2vid 1 --condition a.gif --out g.gif
  one_error 'FILE@FRAME'
  # What is wrong with the outputs shows before anything is computed.
  txt2vid 1 --out g.gif --preview -
  one_error 'name a file, which each preview replaces'
  txt2vid 1 --out g.gif --preview previews
  one_error 'name a file, which each preview replaces'
  txt2vid 1 --out g.png --sheet ./g.png
  one_error 'another output has that name already'
  txt2vid 1 --fps 60 --out g.gif
  one_error 'g.gif: GIF films show at most 50 frames a second'
  # Films that are given are held in memory: ten of 9 frames of 64 x 32 are more than half of 1 MB.
  local given=()
  for _ in 1 2 3 4 5 6 7 8 9 10; do given+=(--condition a.gif@0); done
  txt2vid 1 "${given[@]}" --memory-limit 0.001 --out g.gif
  one_error 'a.gif. the films that are given take more than 0.5 MB in memory'
  run 1 daguerre txt2vid --model "$sd1" --prompt x --out g.gif
  one_error 'makes pictures, not films'
  run 2 daguerre img2vid --model "$models/ltx_095" --prompt x --out g.gif
  one_error '--image is required'
  absent g.gif
}

section_films_from_films() {
  local emoji=$models/../../../../examples/models/emoji
  film() {
    local expected=$1 command=$2
    shift 2
    run "$expected" daguerre "$command" --model "$emoji" --motion "$emoji-motion" --prompt "red apple, sliding" --steps 4 \
      --guidance 1 --threads 1 --seed 42 "$@"
  }
  film 0 txt2vid --frames 4 --out a.gif
  film 0 vid2vid --init-video a.gif --strength 0.5 --out b.gif
  out_is b.gif
  differ a.gif b.gif
  run 0 daguerre inspect b.gif
  out_has '64 x 64, 4 frames, 8 a second'
  out_has 'Denoising strength: 0.5'
  film 0 vid2vid --init-video a.gif --strength 0.5 --out c.gif --quiet
  [ ! -s err ] || fail "--quiet should be silent"
  same b.gif c.gif
  film 0 vid2vid --init-video a.gif --interpolate 2 --out d.gif
  run 0 daguerre inspect d.gif
  out_has '64 x 64, 7 frames, 16 a second'
  film 2 vid2vid --init-video a.gif --interpolate 2 --frames 9 --out e.gif
  one_error '--frames excludes --interpolate'
  head -c 900 a.gif >cut.gif
  film 1 vid2vid --init-video cut.gif --out e.gif
  one_error 'cut.gif: the GIF film is cut short'
  absent e.gif
}

section_txt2img() {
  txt2img 0 --seed 7 --out a.png
  out_is a.png
  err_has '^step 1/[0-9]+  [0-9.]+ s$'
  err_has 'a step \(median\), decoder .*, peak memory '
  txt2img 0 --seed 7 --out b.png --quiet
  [ ! -s err ] || fail "--quiet should be silent"
  same a.png b.png
  txt2img 0 --seed 8 --out c.png
  differ a.png c.png
  txt2img 0 --seed 7 --sampler euler-a --out d.png
  differ a.png d.png
  txt2img 0 --out e.png
  local seed
  seed=$(sed -n 's/^seed //p' err)
  txt2img 0 --seed "$seed" --out f.png
  same e.png f.png
  txt2img 0 --seed 7 --engine native --precision f32 --out g.png
  err_has ': native, f32, 1 thread$'
  err_has '^weights: text_encoder .* packed; vae .* packed; unet .* packed$'
  txt2img 0 --seed 7 --weights mapped --residency when-needed --memory-limit 0.5 --out i.png
  err_has '^weights: text_encoder .* mapped, when needed; vae .* mapped, when needed; unet .* mapped$'
  same a.png i.png
  txt2img 0 --seed 7 --generator cuda-philox --out h.png
  differ a.png h.png
}

section_outputs() {
  txt2img 0 --seed 7 --count 2 --out a.png --save-latents final.safetensors
  out_is "a_1.png
a_2.png"
  absent a.png
  there final.safetensors
  run 0 daguerre inspect final.safetensors
  out_has '[2, 4, 8, 12]'
  # The second picture is the one that its own seed makes.
  txt2img 0 --seed 8 --out b.png
  run 0 daguerre inspect a_2.png
  out_has 'Seed: 8'
  there b.png
  txt2img 0 --seed 7 --preview p.png --preview-every 1 --out c.png
  there p.png
  differ p.png c.png
}

section_latents() {
  run 0 make_inputs latents noise.safetensors
  run 0 daguerre txt2img --model "$sd1" --prompt cat --steps 3 --threads 1 --latents noise.safetensors --out a.png
  out_is "a_1.png
a_2.png"
  run 0 daguerre inspect a_1.png
  out_has 'Size: 24x16'
  txt2img 0 --seed 1 --latents noise.safetensors --out b.png
  txt2img 0 --seed 2 --latents noise.safetensors --out c.png
  txt2img 2 --best-of 0 --judge clip:nothing --out d.png
  one_error "expected 1 to 10000"
  txt2img 2 --best-of 2 --out d.png
  one_error "requires --judge"
  txt2img 1 --best-of 2 --judge "clip:$sd1" --out d.png --quiet
  one_error "no CLIP model"
  txt2img 1 --latents noise.safetensors --count 3 --out d.png
  one_error 'noise.safetensors.*latents for 2 pictures.*--count is 3'
  txt2img 1 --latents noise.safetensors --width 32 --out d.png
  one_error 'latents \[2, 8, 12, 4\], expected \[2, 8, 16, 4\]'
  txt2img 1 --latents "$sd1/unet/diffusion_pytorch_model.safetensors" --out d.png
  one_error 'expected a tensor "latents"'
}

section_lora() {
  mkdir styles
  run 0 make_inputs lora "$sd1" styles/ink:v2.safetensors
  txt2img 0 --seed 7 --out plain.png
  txt2img 0 --seed 7 --lora styles/ink:v2.safetensors:0.5 --out half.png
  err_has '^lora ink:v2: 1 modules of unet$'
  differ plain.png half.png
  run 0 daguerre inspect half.png
  out_has 'v2:0.5'
  txt2img 0 --seed 7 --lora-dir styles --lora ink:v2:0.25 --lora ink:v2:0.25:1 --lora-mode per-run --out twice.png
  err_has '^lora ink:v2: 1 modules of unet$'
  differ plain.png twice.png
  txt2img 0 --seed 7 --lora styles/ink:v2.safetensors:0 --out none.png --quiet
  txt2img 1 --lora-dir styles --lora pen --out bad.png
  one_error '.*"pen".*"ink:v2"'
  txt2img 1 --lora styles/pen.safetensors:0.5 --out bad.png
  one_error '.*styles/pen.safetensors: '
  txt2img 1 --lora "$sd1/unet/diffusion_pytorch_model.safetensors" --out bad.png
  one_error '.*adapter'
  absent bad.png
}

section_image_to_image() {
  txt2img 0 --seed 7 --out a.png
  txt2img 0 --seed 7 --init-image a.png --strength 0.5 --steps 4 --out b.png
  differ a.png b.png
  run 0 daguerre inspect b.png
  out_has 'Denoising strength: 0.5'
  # A picture of another size is scaled.
  txt2img 0 --seed 7 --init-image a.png --width 32 --out c.png
  echo nonsense >broken.png
  txt2img 1 --init-image broken.png --out d.png
  one_error 'broken.png'
  txt2img 1 --init-image nothere.png --out d.png
  one_error 'nothere.png'
  txt2img 1 --init-image a.png --strength 0 --out d.png
  one_error 'leaves no step'
}

section_controls() {
  control=$models/sd1_controlnet/controlnet
  txt2img 0 --seed 7 --out a.png --save-latents a.safetensors
  txt2img 0 --seed 7 --control-net "$control" --control-image a.png:0.5:0:0.8 --out b.png
  differ a.png b.png
  run 0 daguerre inspect b.png
  out_has 'Model: controlnet, Weight: 0.5, Resize Mode: Just Resize, Guidance Start: 0, Guidance End: 0.8'
  # Off; the file's own name ends as if it were a scale.
  cp a.png a.png:1
  txt2img 0 --seed 7 --control-net "$control" --control-image a.png:1:0 --out c.png --save-latents c.safetensors
  same a.safetensors c.safetensors
  txt2img 1 --control-net "$control" --out d.png
  one_error '--control-image.*each needs one'
  txt2img 1 --control-net "$control" --control-image nothere.png:1 --out d.png
  one_error 'nothere.png'
  txt2img 1 --control-net "$sd1/unet" --control-image a.png --out d.png
  one_error 'UNet2DConditionModel.*no control'
}

section_larger_and_again() {
  txt2img 0 --seed 7 --hires 1.5 --hires-mode latent-bicubic --hires-strength 0.6 --sampler euler-a --out a.png
  err_has '^step 4/4 '
  run 0 daguerre inspect a.png
  out_has 'Hires upscaler: Latent (bicubic)'
  run 0 daguerre txt2img --model "$sd1" --threads 1 --from-png a.png --out b.png
  same a.png b.png
  # What the command line says wins.
  run 0 daguerre txt2img --model "$sd1" --threads 1 --from-png a.png --seed 8 --prompt other --hires-strength 0.7 --out c.png
  differ a.png c.png
  run 0 daguerre inspect c.png
  out_has 'other'
  out_has 'Seed: 8'
  out_has 'Denoising strength: 0.7'
  out_has 'Hires upscale: 1.5'

  txt2img 0 --seed 7 --out small.png
  run 0 daguerre txt2img --model "$sd1" --threads 1 --prompt cat --seed 1 --steps 4 --init-image small.png --upscale 4 \
    --tile 32 --tile-overlap 8 --vae-tiling on --out large.png
  run 0 daguerre inspect large.png
  out_has 'Size: 96x64'
  out_has 'Denoising strength: 0.35'
  out_has 'Tile size: 32'
  run 1 daguerre txt2img --model "$sd1" --from-png large.png --out d.png
  one_error 'large.png: the picture was made from another one, which --init-image must give'
  run 0 daguerre txt2img --model "$sd1" --threads 1 --from-png large.png --init-image small.png --out d.png
  same large.png d.png
  txt2img 0 --seed 7 --upscale 2 --tile --steps 4 --out e.png
  run 0 daguerre inspect e.png
  out_has 'Hires upscaler: Lanczos'
  ! grep -qE '^Tile (size: 0|overlap: -1)$' out || fail "tiles are written as they were, not as unset"
  grep -qE '^Tile overlap: [0-9]+$' out || fail "the tiles' overlap is missing"

  txt2img 0 --seed 7 --vae "$sd1/vae" --out f.png
  same small.png f.png
  txt2img 1 --vae "$sd1/unet" --out g.png
  one_error 'UNet2DConditionModel.*autoencoder'
  run 0 make_inputs mask mask.png
  run 1 daguerre txt2img --model "$sd1" --from-png mask.png --out g.png
  one_error 'mask.png: it holds no text "parameters"'
  run 2 daguerre txt2img --model "$sd1" --out g.png
  one_error '--prompt is required'
  txt2img 1 --hires-steps 3 --out g.png
  one_error 'give --hires, too'
  txt2img 1 --hires-mode latent --out g.png
  one_error 'give --hires, too'
  txt2img 1 --tile-overlap 3 --out g.png
  one_error 'give --tile, too'
  txt2img 2 --hires 2 --upscale 2 --out g.png
  one_error '--hires excludes --upscale'
}

section_cascade() {
  mkdir -p both
  cat >both/cascade.json <<JSON
{"version": 1, "stages": [{"path": "$models/if_stage1", "steps": 3}, {"path": "$models/if_stage2", "steps": 2}]}
JSON
  local cascade=(daguerre txt2img --prompt cat --seed 7 --threads 1)
  run 0 "${cascade[@]}" --cascade both --out a.png --save-stages
  out_is "a.png"
  err_has "stage 1 of 2: if_stage1"
  err_has "stage 2 of 2: if_stage2"
  err_has "step 5/5"
  there a_stage1.png
  run 0 daguerre inspect a.png
  out_has "Stage 2 Steps: 2"
  run 0 "${cascade[@]}" --cascade both --one-stage-at-a-time --out b.png
  same a.png b.png
  run 0 daguerre txt2img --cascade both --from-png a.png --threads 1 --out c.png
  same a.png c.png
  run 0 "${cascade[@]}" --cascade both --stage 2:steps=3,noise_level=100 --steps 2 --out d.png
  differ a.png d.png
  run 0 daguerre inspect d.png
  out_has "Stage 2 Noise level: 100"
  run 0 "${cascade[@]}" --cascade "$models/if_stage1" --cascade "$models/if_stage2" --steps 2 --stage 2:steps=2 --out e.png
  there e.png
  run 1 "${cascade[@]}" --cascade both --stage 2:width=8,height=8 --out f.png
  one_error 'stage 2 of 2 .if_stage2.: the sizes do not follow each other'
  run 1 "${cascade[@]}" --cascade both --stage 2:speed=8 --out f.png
  one_error 'no option "speed"'
  run 1 "${cascade[@]}" --cascade both --stage two:steps=8 --out f.png
  one_error 'stage.s number'
  run 1 "${cascade[@]}" --cascade both --model "$sd1" --out f.png
  one_error 'does not go with --model'
  run 1 "${cascade[@]}" --cascade . --out f.png
  one_error 'has no cascade.json'
  absent f.png
}

section_rewrite() {
  local emoji=$models/../../../../examples/models/emoji
  # Makes a picture of a prompt that is rewritten by $2, with status $1.
  rewritten() {
    local expected=$1 by=$2
    shift 2
    run "$expected" daguerre txt2img --model "$emoji" --prompt "fox" --steps 2 --guidance 1 --threads 1 --seed 42 \
      --rewrite "$by" "$@"
  }
  run 0 make_inputs language "big fox" writer
  run 0 make_inputs endless-language "a fox" endless
  run 0 make_inputs untold-language "a fox" untold

  run 0 daguerre rewrite --model writer --prompt "fox" --threads 1
  out_is "big fox"
  run 0 daguerre rewrite --model writer --prompt "fox <lora:ink:1>" --prompt-syntax a1111 --rewrite-instruction translate
  out_is "big fox <lora:ink:1>"
  rewritten 0 writer --out a.png
  err_has '^prompt: big fox$'
  run 0 daguerre inspect a.png
  for line in 'Prompt: big fox' 'Original prompt: fox' 'Rewriter: writer' 'Rewrite instruction: expand' \
    'Rewrite seed: 42'; do
    grep -qxF -- "$line" out || fail "stdout lacks the line: $line"
  done
  run 0 daguerre txt2img --model "$emoji" --prompt "big fox" --steps 2 --guidance 1 --threads 1 --seed 42 --out b.png \
    --save-latents b.safetensors
  rewritten 0 writer --out c.png --save-latents c.safetensors
  same b.safetensors c.safetensors
  # Its settings make it again without the writer.
  run 0 daguerre txt2img --model "$emoji" --from-png a.png --threads 1 --out d.png
  same a.png d.png

  # What a picture is made of where a rewriting failed; $1 is why.
  kept() {
    err_has "^warning: .*$1.*the prompt stays as it was given"
    run 0 daguerre inspect e.png
    grep -qxF 'Prompt: fox' out || fail "the prompt should be: fox"
    out_has 'Original prompt: fox'
    grep -qE -- "^Rewrite failure: .*$1" out || fail "the settings should say: $1"
  }
  rewritten 0 endless --rewrite-max-words 5 --out e.png
  kept 'did not come to an end within 52 tokens'
  run 1 daguerre rewrite --model endless --prompt fox --rewrite-max-words 5
  one_error 'did not come to an end within 52 tokens'
  rewritten 1 untold --out f.png
  one_error 'no chat template'
  rewritten 1 nothere --out f.png
  one_error 'nothere'
  rewritten 1 writer --rewrite-instruction sing --out f.png
  one_error '"sing".*expand'
  rewritten 1 writer --rewrite-instruction ./sing.txt --out f.png
  one_error 'sing.txt'
  run 2 daguerre txt2img --model "$emoji" --prompt fox --rewrite-instruction split --out f.png
  one_error '--rewrite-instruction requires --rewrite'
  absent f.png

  "$programs/chat_server" port &
  # shellcheck disable=SC2064
  trap "kill $! 2>/dev/null" EXIT
  for _ in $(seq 200); do
    [ -s port ] && break
    sleep 0.05
  done
  there port
  local service
  service=http://127.0.0.1:$(cat port)
  if ! "$programs/daguerre" rewrite --model "$service/good/v1" --prompt fox >out 2>err; then
    err_has 'was built without libcurl'
    echo "services are not tested: this build has no libcurl"
    return
  fi
  out_is "default by system: fox, seed 0"
  run 0 daguerre rewrite --model "$service/good/v1/" --prompt fox --seed 9 --rewrite-model large --remark "More moon."
  out_is "large by system: fox More moon., seed 9"
  DAGUERRE_API_KEY=secret run 0 daguerre rewrite --model "$service/key/v1" --prompt fox
  out_is "Bearer secret"
  DAGUERRE_API_KEY=secret run 1 daguerre rewrite --model http://service.invalid/v1 --prompt fox
  one_error 'DAGUERRE_API_KEY would go over the net'
  rewritten 0 "$service/good/v1" --rewrite-model large --out e.png
  run 0 daguerre inspect e.png
  out_has 'Prompt: large by system: fox, seed 42'
  out_has 'Original prompt: fox'
  out_has 'Rewriter: large'
  failing() {
    rewritten 0 "$service/$1/v1" --rewrite-time-limit "${3:-60}" --out e.png
    kept "$2"
  }
  failing busy 'status 429: slow down'
  failing page 'the reply is no JSON: <html>'
  failing nothing 'the reply has no choices'
  failing large 'larger than a mebibyte'
  failing elsewhere 'status 302: .*not followed'
  failing endless 'the answer did not come to an end'
  failing silent '([Ee]mpty reply|returned nothing)'
  failing slow '(no answer within 0.2 seconds|Timeout was reached)' 0.2
  rewritten 0 http://127.0.0.1:1/v1 --out e.png
  kept "[Cc]ould.*connect"
}

section_inpainting() {
  txt2img 0 --seed 7 --out a.png
  run 0 make_inputs mask mask.png
  txt2img 0 --seed 9 --init-image a.png --mask mask.png --out four.png
  differ a.png four.png
  sd1=$models/sd1_inpaint9
  txt2img 0 --seed 9 --init-image a.png --mask mask.png --out nine.png
  differ four.png nine.png
  txt2img 1 --out d.png
  one_error 'inpainting model'
  sd1=$models/sd1
  txt2img 0 --seed 9 --init-image a.png --mask mask.png --no-keep-unmasked --out whole.png
  txt2img 0 --seed 9 --init-image a.png --mask mask.png --mask-blur 1 --mask-grow 1 --only-masked 2 --differential \
    --masked-content fill --strength 0.8 --steps 4 --out part.png
  run 0 daguerre txt2img --model "$sd1" --threads 1 --from-png part.png --init-image a.png --mask mask.png --out again.png
  same part.png again.png
  run 0 daguerre txt2img --model "$sd1" --threads 1 --prompt cat --steps 2 --init-image a.png --outpaint 4,0,3,0 --out wide.png
  run 0 daguerre inspect wide.png
  out_has 'Outpaint: 4 0 3 0'
  txt2img 2 --init-image a.png --outpaint 4,0,3 --out d.png
  one_error '--outpaint.*4,0,3.*four numbers'
  txt2img 2 --init-image a.png --only-masked=x --out d.png
  one_error '--only-masked.*whole number'
  txt2img 1 --mask-blur 2 --out d.png
  one_error 'there is no mask'
}

section_inspect() {
  local prompt='a "lighthouse", at dawn: 8k
on two lines'
  # shellcheck disable=SC2086
  run 0 daguerre txt2img --model "$sd1" $small --prompt "$prompt" --negative 'fog, rain' --seed 7 --out a.png
  run 0 daguerre inspect a.png
  out_has 'Prompt: a "lighthouse", at dawn: 8k'
  out_has 'Negative prompt: fog, rain'
  out_has 'Steps: 3'
  out_has 'Size: 24x16'
  run 0 daguerre inspect --raw a.png
  out_has 'Negative prompt: fog, rain'
  out_has 'Steps: 3, Sampler: '
  run 0 daguerre inspect --json a.png
  out_has '"prompt": "a \"lighthouse\", at dawn: 8k\non two lines"'
  # Prompts that look like something else to a command line parser.
  for prompt in '[a, b]' '--help' "it's %d \\n"; do
    txt2img 0 --prompt="$prompt" --out odd.png
    run 0 daguerre inspect odd.png
    grep -qxF -- "Prompt: $prompt" out || fail "the prompt should be: $prompt"
  done
  txt2img 0 --prompt '' --out odd.png
  run 0 daguerre inspect odd.png
  # A picture without settings is a picture all the same; --raw asks for what is not there.
  run 0 make_inputs mask bare.png
  run 0 daguerre inspect bare.png
  out_has 'bare.png: PNG, '
  out_has 'there are no settings in it'
  run 0 daguerre inspect --json bare.png
  out_has '"format": "PNG"'
  run 1 daguerre inspect --raw bare.png
  one_error 'bare.png: there are no settings in it'
  head -c 90 a.png >cut.png
  run 1 daguerre inspect cut.png
  one_error 'cut.png'
  # Names and beginnings of pictures and films are not those of models.
  : >empty.mp4
  run 1 daguerre inspect empty.mp4
  one_error 'empty.mp4: is empty'
  echo nonsense >broken.webm
  run 1 daguerre inspect broken.webm
  one_error 'broken.webm: is not a film that is known here'

  run 0 daguerre inspect "$sd1"
  for class in StableDiffusionPipeline PNDMScheduler CLIPTextModel CLIPTokenizer UNet2DConditionModel AutoencoderKL; do
    out_has $class
  done
  ! grep -q 'conv_in.weight' out || fail "a model's tensors are listed on demand only"
  run 0 daguerre inspect --tensors "$sd1"
  grep -qE '^conv_in.weight +F32 +\[8, 4, 3, 3\]$' out || fail "--tensors lists tensors"
  run 0 daguerre inspect "$sd1/unet"
  out_has 'UNet2DConditionModel'
  run 0 daguerre inspect "$sd1/vae/diffusion_pytorch_model.safetensors"
  out_has 'an autoencoder alone (vae)'
  out_has 'AutoencoderKL'
  out_has 'it is no model that makes pictures'
  run 0 daguerre inspect --json "$sd1/unet"
  out_has '"class": "UNet2DConditionModel"'
  run 1 daguerre inspect nothere
  one_error 'nothere'
  run 2 daguerre inspect --raw "$sd1"
  one_error 'no picture or film'
  run 0 make_inputs truncated "$sd1" broken
  run 1 daguerre inspect broken
  out_has 'cannot be read'
  out_has 'AutoencoderKL'
  one_error 'unet.*diffusion_pytorch_model.safetensors'
}

section_convert() {
  run 0 daguerre convert "$sd1" sd1.safetensors
  out_is sd1.safetensors
  run 0 daguerre inspect sd1.safetensors
  out_has 'sd1.safetensors: Stable Diffusion 1 (sd1)'
  for word in text_encoder UNet2DConditionModel AutoencoderKL 'needs a tokenizer: vocab.json and merges.txt'; do
    out_has "$word"
  done
  ! grep -q 'input_blocks' out || fail "a model's tensors are listed on demand only"
  run 0 daguerre inspect sd1.safetensors --tensors
  out_has 'model.diffusion_model.input_blocks.0.0.weight'
  run 0 daguerre inspect sd1.safetensors --json
  out_has '"family": "sd1"'
  out_has '"pipeline": "StableDiffusionPipeline"'
  out_has '"missing": []'

  # The file brings neither a tokenizer nor the heads and groups of these small networks.
  run 0 daguerre convert sd1.safetensors bare --configs "$sd1"
  err_has '^warning: the tokenizer is missing'
  absent bare/tokenizer
  run 0 daguerre convert sd1.safetensors sd1 --configs "$sd1" --tokenizer "$sd1/tokenizer" --quiet
  [ ! -s err ] || fail "--quiet should be silent"
  there sd1/tokenizer/vocab.json
  txt2img 0 --seed 7 --out a.png
  run 0 daguerre txt2img --model sd1 --prompt "a lighthouse at dawn" $small --seed 7 --out b.png
  same a.png b.png
  DAGUERRE_TOKENIZERS=$sd1/tokenizer run 0 daguerre convert sd1.safetensors again --configs "$sd1"
  same again/tokenizer/vocab.json sd1/tokenizer/vocab.json
  same again/unet/diffusion_pytorch_model.safetensors sd1/unet/diffusion_pytorch_model.safetensors

  run 1 daguerre convert "$sd1" sd1.safetensors
  one_error 'sd1.safetensors: is there already.*--force'
  run 0 daguerre convert "$sd1" sd1.safetensors --force --type f16
  run 0 daguerre inspect sd1.safetensors
  out_has 'F16'
  run 1 daguerre convert "$sd1" . --force
  one_error 'folder of other things'
  run 1 daguerre convert "$models/dit" dit.safetensors
  one_error 'DiTPipeline has no layout of a single file'
  absent dit.safetensors
  run 1 daguerre convert nothere x
  one_error 'nothere'
  run 1 daguerre convert "$sd1" nowhere/x.safetensors
  one_error 'nowhere/x.safetensors: the folder'
  run 1 daguerre convert sd1.safetensors x --tokenizer bare
  one_error 'no tokenizer.*vocab.json and merges.txt'
  run 1 daguerre convert "$sd1" x.safetensors --type q8_0
  one_error 'type is Q8_0.*GGUF'
  run 0 daguerre convert "$sd1" sd1.gguf --type q8_0
  run 0 daguerre inspect sd1.gguf
  out_has 'sd1.gguf: Stable Diffusion 1 (sd1)'
  out_has 'F16'  # where rows make no whole blocks, as in a model that small
  run 0 daguerre convert sd1.gguf back.safetensors
  absent x.safetensors
  run 2 daguerre convert "$sd1" x.safetensors --type f8
  one_error '--type'
  absent x.safetensors
  [ -z "$(find . -name '*.tmp' -o -name '*.old')" ] || fail "something half-made is left"
}

section_upscale() {
  run 0 daguerre txt2img --model "$models/if_stage1" --prompt "A Cat" --width 24 --height 16 --steps 2 --threads 1 --out small.png
  upscale() {
    local expected=$1
    shift
    run "$expected" daguerre upscale --threads 1 --model "$@"
  }
  upscale 0 "$models/sd_x4_upscaler" --prompt "a cat" --negative dog --steps 2 --seed 3 small.png large.png
  out_is large.png
  run 0 daguerre inspect large.png
  out_has '96 x 64'
  out_has 'Noise level: 20'
  out_has 'Seed: 3'
  # The settings make it again, from the picture that they do not hold.
  run 0 daguerre txt2img --model "$models/sd_x4_upscaler" --from-png large.png --init-image small.png --threads 1 --out again.png
  upscale 0 "$models/sd_x4_upscaler" --prompt "a cat" --noise-level 5 --steps 2 --tile 16 --tile-overlap 4 small.png tiles.png
  upscale 0 "$models/if_stage2" --prompt "a cat" --steps 2 small.png second.png
  run 0 daguerre inspect second.png
  out_has 'Noise level: 250'
  upscale 1 "$models/sd_x4_upscaler" --noise-level 351 small.png x.png
  one_error 'noise_level is 351, expected 0 to 350'
  upscale 1 "$models/sd1" small.png x.png
  one_error 'StableDiffusionPipeline, which makes no small picture large'
  upscale 1 "$models/sd_x4_upscaler" --scale 2 small.png x.png
  one_error '--scale is not for models'
  upscale 1 "$models/sd_x4_upscaler" small.png x.gif
  one_error 'x.gif: models that enlarge by diffusion write PNG'
  upscale 1 "$models/sd_x4_upscaler/unet/diffusion_pytorch_model.safetensors" --prompt x small.png x.png
  one_error "is a network's file"
  run 1 daguerre txt2img --model "$models/sd_x4_upscaler" --prompt x --steps 2 --threads 1 --out x.png
  one_error 'makes a small picture large: it needs one'
  absent x.png
}

section_class2img() {
  class2img() {
    local expected=$1
    shift
    run "$expected" daguerre class2img --model "$models/dit" --steps 3 --threads 1 "$@"
  }
  class2img 0 --class 207 --seed 7 --out a.png
  out_is a.png
  class2img 0 --class "golden retriever" --seed 7 --out b.png
  same a.png b.png
  run 0 daguerre inspect a.png
  out_has 'Class: 207 golden retriever'
  class2img 0 --class goldfish 207 --seed 6 --out two.png
  out_is "two_1.png
two_2.png"
  class2img 1 --class unicorn --out c.png
  one_error 'no class is called "unicorn"'
  class2img 1 --class 1000 --out c.png
  one_error 'class 1000 is not one of 0 to 999'
  class2img 1 --out c.png
  one_error 'no class'
  class2img 2 --class 1 --prompt cat --out c.png
  one_error '--prompt'
  absent c.png
  run 0 daguerre inspect "$models/dit"
  out_has DiTTransformer2DModel
  # A model that takes no class.
  run 0 daguerre class2img --model "$models/ddpm" --steps 3 --threads 1 --seed 7 --out d.png
  run 0 daguerre class2img --model "$models/ddpm" --steps 3 --threads 1 --seed 7 --sampler ddim --out e.png
  differ d.png e.png
  run 1 daguerre class2img --model "$models/ddpm" --steps 3 --class 1 --out f.png
  one_error 'takes no class'
  run 1 daguerre class2img --model "$sd1" --steps 3 --class 1 --out f.png
  one_error 'Stable Diffusion takes no class'
  run 1 daguerre txt2img --model "$models/dit" --prompt cat --out f.png
  one_error 'DiT takes no prompt'
  absent f.png
}

section_bench() {
  bench() {
    local expected=$1
    shift
    run "$expected" daguerre bench --steps 2 --runs 2 --threads 1 --quiet "$@"
  }
  bench 0 --model "$sd1" --width 24 --height 16 --profile --json a.json
  for line in '24 x 16, 2 steps, 2 runs' 'text encoder' 'load to first step' 'peak memory' 'conv2d' \
    'neither convolution nor matrix product nor attention'; do
    out_has "$line"
  done
  local pointers=(/version /model /engine /engine_version /precision /width /height /steps /runs /peak_memory_bytes)
  local key
  for key in processor threads instruction_set native_bfloat16; do pointers+=("/machine/$key"); done
  for key in load text_encoder first_step load_to_first_step step decoder whole; do
    pointers+=("/seconds/$key/median" "/seconds/$key/min" "/seconds/$key/max" "/seconds/$key/count")
  done
  for key in stage seconds beside_products kinds/0/name kinds/0/calls kinds/0/seconds kinds/0/share kinds/0/flops \
    kinds/0/gflop_per_second; do
    pointers+=("/profile/2/$key")
  done
  run 0 json_has a.json "${pointers[@]}"
  bench 0 --model "$sd1" --width 24 --height 16 --engine native --precision f32 --guidance 1
  out_has ', 1 thread, '
  out_has ', f32'
  out_has 'weights: text_encoder'
  ! grep -q conv2d out || fail "the profile is printed on demand only"
  bench 0 --model "$models/dit" --json dit.json
  run 0 json_has dit.json /seconds/step/median /seconds/decoder/median
  run 1 json_has dit.json /seconds/text_encoder
  bench 0 --model "$models/ddpm" --steps 1 --runs 1
  ! grep -q decoder out || fail "DDPM has no decoder"
  bench 0 --model "$models/sd1_inpaint9" --width 24 --height 16 --runs 1
  bench 1 --model nothere
  one_error 'nothere is not a folder'
  bench 1 --model "$sd1" --json nowhere/a.json
  one_error 'nowhere/a.json: there is no folder nowhere'
  bench 1 --model "$sd1" --width 25
  one_error 'width 25 is not a multiple'
  bench 2 --model "$sd1" --runs 0
  one_error '--runs'
  run 2 daguerre bench
  one_error '--model is required'
  run 0 daguerre bench --help
  out_has --profile
}

section_bad_models() {
  sd1=$work/nothere
  txt2img 1 --out a.png
  one_error 'nothere is not a folder'
  sd1=$work
  txt2img 1 --out a.png
  one_error 'no model_index.json'
  run 0 make_inputs unknown-scheduler "$models/sd1" scheduler
  sd1=$work/scheduler
  txt2img 1 --out a.png
  one_error 'scheduler_config.json.*"DelphiScheduler".*PNDMScheduler'
  absent a.png
}

section_bad_weights() {
  run 0 make_inputs truncated "$models/sd1" truncated
  run 0 make_inputs missing-tensor "$models/sd1" missing
  run 0 make_inputs wrong-shape "$models/sd1" shape
  run 0 make_inputs nan "$models/sd1" nan
  sd1=$work/truncated
  txt2img 1 --out a.png
  one_error 'truncated/unet/diffusion_pytorch_model.safetensors'
  sd1=$work/missing
  txt2img 1 --out a.png
  one_error 'missing/unet.*"conv_in.weight"'
  sd1=$work/shape
  txt2img 1 --out a.png
  one_error 'shape/unet.*"conv_in.weight" has shape \[7, 4, 3, 3\], the config asks for \[8, 4, 3, 3\]'
  sd1=$work/nan
  txt2img 1 --out a.png
  one_error '\[unet\].*"conv_in.weight" of .*nan/unet.* holds NaN'
  absent a.png
}

section_long_prompt() {
  local words
  words=$(for i in $(seq 3000); do printf 'word%d ' "$i"; done)
  # shellcheck disable=SC2086
  run 0 daguerre txt2img --model "$sd1" $small --prompt "$words" --seed 7 --out a.png
  there a.png
  [ "$(grep -c '^warning: ' err)" -eq 1 ] || fail "one warning is due"
  err_has '^warning: .*these words are lost: .*word2999 word3000'
  run 0 daguerre inspect a.png
  out_has 'word3000'
}

section_wrong_use() {
  run 2 daguerre
  one_error 'subcommand'
  run 2 daguerre develop
  one_error 'subcommand|develop'
  run 2 daguerre txt2img --model "$sd1" --prompt cat
  one_error '--out is required'
  run 2 daguerre txt2img --prompt cat --out a.png
  one_error '--model is required'
  txt2img 2 --out a.png --frobnicate
  one_error '--frobnicate'
  txt2img 2 --out a.jpg
  one_error '"a.jpg" does not end in .png'
  txt2img 2 --out a.png --sampler magic
  one_error '--sampler.*magic.*euler-a'
  txt2img 2 --out a.png --engine steam
  one_error '--engine.*steam'
  txt2img 2 --out a.png --precision f8
  one_error '--precision'
  txt2img 2 --out a.png --residency never
  one_error '--residency'
  txt2img 2 --out a.png --memory-limit 0
  one_error '--memory-limit'
  txt2img 2 --out a.png --generator dice
  one_error '--generator'
  txt2img 2 --out a.png --guidance much
  one_error '--guidance'
  txt2img 2 --out a.png --eta 2
  one_error '--eta'
  txt2img 2 --out a.png --count 0
  one_error '--count'
  for seed in -1 18446744073709551616 1.5 x; do
    txt2img 2 --out a.png --seed $seed
    one_error "--seed.*$seed"
  done
  for steps in 0 -1 2.5 99999999999; do
    txt2img 2 --out a.png --steps $steps
    one_error '--steps'
  done
  txt2img 2 --out a.png --strength 0.5
  one_error '--strength requires --init-image'
  txt2img 2 --out a.png --mask a.png
  one_error '--mask requires --init-image'
  run 0 daguerre --version
  out_has 'daguerre '
  run 0 daguerre --help
  out_has txt2img
  run 0 daguerre txt2img --help
  out_has --guidance-rescale
  run 0 daguerre inspect --help
  out_has --tensors
}

section_failures() {
  txt2img 1 --width 25 --out a.png
  one_error 'width 25 is not a multiple of 2.*nearest is 2[46]'
  txt2img 1 --out nowhere/a.png
  one_error 'nowhere/a.png: there is no folder nowhere'
  mkdir folder.png
  txt2img 1 --out folder.png
  one_error 'folder.png: is a folder'
  txt2img 1 --out a.png --preview nowhere/p.png
  one_error 'nowhere'
  txt2img 1 --out a.png --clip-skip 99
  one_error 'clip'
  absent a.png
}

section_interrupt() {
  # SIGTERM: a shell without job control starts its background programs deaf to SIGINT.
  "$programs/daguerre" txt2img --model "$sd1" --prompt cat --width 128 --height 128 --steps 900 --sampler ddim \
    --threads 1 --out a.png >out 2>err &
  local program=$!
  for _ in $(seq 600); do
    grep -q '^step 3/' err && break
    kill -0 $program || break
    sleep 0.05
  done
  kill -TERM $program
  wait $program
  local status=$?
  [ $status -eq 1 ] || fail "status $status after SIGTERM, expected 1"
  [ "$(tail -n 1 err)" = "daguerre: stopped" ] || fail "the last line should be: daguerre: stopped"
  absent a.png
}

section_hello() {
  run 0 hello "$sd1" "a cat"
  out_has 'step 1 of '
  there hello.png
  run 1 hello nothere
  err_has 'nothere'
  run 2 hello
}

section_emoji_study() {
  local emoji=$models/../../../../examples/models/emoji number=0 name
  mkdir pictures
  for name in "red apple" house fox; do
    echo "$name" >>pictures/names.txt
    run 0 daguerre txt2img --model "$emoji" --prompt "$name" --steps 5 --guidance 1 --threads 1 --out pictures/000$number.png
    number=$((number + 1))
  done
  local common="--model $emoji --pictures pictures --guidance 1 --threads 1"
  # shellcheck disable=SC2086
  {
    run 0 emoji_study nearest $common --prompts 3 --steps 5
    out_has "3 of 3"
    run 1 emoji_study nearest $common --prompts 4
    err_has "cannot draw 4 of 3"
    run 0 emoji_study floor --model "$emoji" --pictures pictures --samples 50 --threads 1
    out_has '"training pictures"'
    out_has '"reconstructed pictures"'
    run 0 emoji_study convergence $common --samples 2 --cells ddim:2 --reference ddim:4 --out errors.json
    out_has '"distance"'
    run 0 emoji_study convergence $common --samples 2 --cells ddim:2 ddim:3 --reference ddim:4 --out errors.json
    if grep -q '"steps":2,' out; then fail "a finished cell was made again"; fi
    run 1 emoji_study convergence $common --samples 3 --cells ddim:2 --reference ddim:4 --out errors.json
    err_has "other settings"
    run 2 emoji_study convergence $common --cells ddim --out errors.json
  }
  run 0 emoji_study sheet --model "$emoji" --prompts house fox --steps 2 --threads 1 --out sheet.png
  there sheet.png
}

section_eval_models() {
  local emoji=$models/../../../../examples/models/emoji
  printf 'Prompts,Category\r\nred apple,fruit\r\n"green apple",fruit\r\nfox,animals\r\n' >suite.csv
  local model=(daguerre eval model "$emoji" --prompts suite.csv --guidance 1 --threads 1 --seed 5 --precision f32 --chunk 2)
  run 0 "${model[@]}" --metrics "clip:$emoji-judge" --steps 2 --work work --keep kept --json a.json
  out_has 'CLIP score'
  out_has fruit
  there kept/000002.png
  cp a.json first.json
  # A job that was cut short goes on, and ends with the same figures; so does one in chunks of other sizes.
  local chunk
  chunk=$(find work -name 'chunk-000001.safetensors')
  rm "$chunk" kept/000002.png
  run 0 "${model[@]}" --metrics "clip:$emoji-judge" --steps 2 --work work --keep kept --json a.json
  there kept/000002.png
  same a.json first.json
  run 0 "${model[@]}" --metrics "clip:$emoji-judge" --steps 2 --chunk 1 --json a.json
  same a.json first.json
  # Samplers and steps as a table.
  run 0 "${model[@]}" --reference kept --metrics latent-fid --samplers ddim,dpm++2m --steps 2,3 --spacing trailing --count 12 --draw-prompts
  out_has '| steps | ddim | dpm++2m |'
  grep -qE '^\| 3 \| [0-9.]+ \([0-9.]+ to [0-9.]+\) \| [0-9.]+ \([0-9.]+ to [0-9.]+\) \|$' out || fail "the table lacks its last row"
  out_has 'AutoencoderKL'
  run 0 "${model[@]}" --reference kept --metrics latent-fid,kid:vae:"$emoji" --steps 2
  err_has 'its covariance is singular'
  out_has 'Kernel distance'

  # Two ways to make the same pictures, and people who judge them.
  local compare=(daguerre eval compare --model "$emoji" --prompts suite.csv --guidance 1 --threads 1 --precision f32
    --metrics "clip:$emoji-judge,psnr,ssim")
  run 0 "${compare[@]}" --count 4 --a "--steps 2" --b "--steps 3" --names two,three --votes ballot
  out_has 'CLIP score: two - three'
  out_has PSNR
  there ballot/0004_left.png
  there ballot/manifest.json
  there ballot.key.json
  if grep -qE 'two|three' ballot/manifest.json; then fail "the manifest tells whose pictures are whose"; fi
  run 0 json_has ballot/manifest.json /questions/1 /pairs/3/prompt
  printf 'item,rater,question,choice\n' >votes.csv
  local item rater
  for item in 0001 0002 0003 0004; do
    for rater in ann bob; do echo "$item,$rater,alignment,a" >>votes.csv; done
  done
  printf '0001,cy,alignment,b\n0002,cy,alignment,b\n0003,cy,alignment,tie\n' >>votes.csv
  run 0 daguerre eval votes votes.csv --key ballot.key.json --json votes.json
  out_has 'ties'
  out_has "raters' agreement"
  printf 'item,left,right,choice\n1,x,y,a\n2,x,y,a\n3,y,x,a\n4,x,y,tie\n' >plain.csv
  run 0 daguerre eval votes plain.csv --json plain.json
  out_has 'x over y'
  grep -qE '"value": ?0\.6666666' plain.json || fail "x should be preferred in two of three"
  # Equal ways make equal pictures.
  run 0 "${compare[@]}" --a "--steps 2" --b "--steps 2" --names x,y
  out_has inf

  # What is wrong is said in one line.
  printf 'Text\nfox\n' >wrong.csv
  run 1 daguerre eval model "$emoji" --prompts wrong.csv --metrics "clip:$emoji-judge"
  one_error 'wrong.csv: no column is called "Prompt"'
  : >empty.txt
  run 1 daguerre eval model "$emoji" --prompts empty.txt --metrics "clip:$emoji-judge"
  one_error 'empty.txt: holds no prompts'
  run 1 daguerre eval model "$emoji" --prompts suite.csv --metrics latent-fid
  one_error 'compares with a reference'
  run 1 daguerre eval model "$emoji" --prompts suite.csv --metrics beauty
  one_error '"beauty" is none of'
  run 1 daguerre eval model "$emoji" --prompts suite.csv --metrics psnr
  one_error 'only of pairs'
  run 2 daguerre eval model "$emoji" --metrics "clip:$emoji-judge"
  one_error '--prompts is required'
  run 2 "${compare[@]}" --a "--steps two" --b ""
  one_error '--a: .*--steps'
  run 2 "${compare[@]}" --a "" --b "" --stepps 3
  one_error 'stepps'
  run 1 "${compare[@]}" --a "" --b "--steps 3" --names x,x
  one_error 'both sides are called "x"'
  run 1 "${compare[@]}" --a "--steps 2" --b "--steps 3" --count 2 --votes ballot
  one_error 'ballot: holds the pictures of another comparison'
  printf 'item,rater,choice\n9,ann,a\n' >unknown.csv
  run 1 daguerre eval votes unknown.csv --key ballot.key.json
  one_error 'unknown.csv, line 2: the key has no item "9"'
  run 1 daguerre eval votes plain.csv --models x,z
  one_error '"y", which is none of the models'
  run 1 daguerre eval votes suite.csv
  one_error 'no column is called "item"'
}

section_eval() {
  local emoji=$models/../../../../examples/models/emoji number=0 name
  mkdir -p a b
  for name in "red apple" house fox "big fox"; do
    echo "$name" >>prompts.txt
    run 0 daguerre txt2img --model "$emoji" --prompt "$name" --steps 2 --guidance 1 --threads 1 --seed 1 --out a/$number.png
    run 0 daguerre txt2img --model "$emoji" --prompt "$name" --steps 4 --guidance 1 --threads 1 --seed 2 --out b/$number.png
    number=$((number + 1))
  done
  local clip="--network clip:$emoji-judge --threads 1"
  # shellcheck disable=SC2086
  {
    run 0 daguerre eval clip-score a prompts.txt $clip --json scores.json
    out_has 'CLIP score'
    out_has '2.5 max(cos(picture, prompt), 0)'
    out_has '4 pairs'
    mv out by_file
    run 0 json_has scores.json /figures/1/low /warnings /unreadable
    run 0 daguerre eval clip-score a $clip
    same by_file out
    run 0 daguerre eval fid a b $clip --work work --chunk 3
    out_has '4 pictures against 4 pictures'
    err_has 'warning: A has 4 pictures for'
    mv out first
    run 0 daguerre eval fid a b $clip --work work --chunk 3
    same first out
    run 0 daguerre eval stats b --out stats.safetensors $clip
    out_has stats.safetensors
    run 0 daguerre eval stats b --out stats.npz $clip
    run 0 daguerre eval fid a stats.safetensors $clip
    run 0 daguerre eval fid a stats.npz $clip
    err_has 'warning: stats.npz does not say which network'
    run 0 daguerre eval kid a b $clip
    run 0 daguerre eval pr a b $clip
    run 0 daguerre eval cmmd a b --network "cmmd:$emoji-judge"
    out_has CMMD
    tac prompts.txt >other.txt
    run 0 daguerre eval directional a b prompts.txt other.txt $clip
    out_has 'CLIP directional similarity'
    run 2 daguerre eval kid a b $clip --limit 0
  }
  run 0 daguerre eval psnr a b --json psnr.json
  out_has '4 pairs'
  run 0 daguerre eval ssim a a --gaussian
  out_has 'SSIM  1'
  # shellcheck disable=SC2086
  {
    echo "no picture" >a/3.png
    run 0 daguerre eval fid a b $clip --json fid.json
    err_has 'warning: cannot be read: a/3.png: '
    run 0 json_has fid.json /unreadable/0/why
    run 1 daguerre eval clip-score a stats.npz $clip
    mkdir empty
    run 1 daguerre eval fid empty b $clip
    one_error 'empty: there are no pictures in it'
    head -3 prompts.txt >few.txt
    run 1 daguerre eval clip-score b few.txt $clip
    one_error '3 prompts and 4 pictures in b do not match in number'
    run 1 daguerre eval fid b b
    one_error '--network. say which network'
    run 1 daguerre eval fid b stats.safetensors --network "cmmd:$emoji-judge"
    one_error 'statistics of another network: clip, expected cmmd'
    run 1 daguerre eval is b $clip
    one_error 'is none of torch-fidelity:PATH'
    rm b/3.png
    run 1 daguerre eval psnr a b
    one_error '4 pictures in a and 3 pictures in b do not match in number'
    run 2 daguerre eval fid a
    run 2 daguerre eval
  }
}

section_custom_sampler() {
  run 0 custom_sampler "$sd1" a.png
  out_has 'timestep 999'
  there a.png
  run 1 custom_sampler nothere
  err_has 'nothere'
  run 2 custom_sampler
}

section_custom_family() {
  run 0 custom_family picture.png
  out_has "channel 2"
  there picture.png
}

section_custom_denoiser() {
  run 0 custom_denoiser plot.png
  out_has 'edm-heun'
  there plot.png
}

"section_$section"
[ -z "$(ls -A . | grep '\.tmp$')" ] || fail "temporary files are left"
