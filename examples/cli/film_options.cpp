#include "film_options.hpp"

#include <limits>
#include <memory>

#include <CLI/CLI.hpp>

#include "commands.hpp"
#include "numbers.hpp"

namespace daguerre::cli {
namespace {

namespace heading {
const std::string film = "The film";
const std::string from = "What the film begins with";
const std::string file = "The file";
}  // namespace heading

void add_length(CLI::App& app, FilmAsk& ask) {
  app.add_option(
         "--out", ask.order.out,
         "Where to write it, with its settings: .gif, .png (animated), .webp, .y4m, .mp4, .mkv, .webm …; a "
         "name without an extension: a folder of PNG files; -: Y4M to standard output")
      ->check(file_name())
      ->type_name("FILE")
      ->required()
      ->group(groups::what);
  add_number(app, "--frames", ask.frames, {.least = 0},
             "How many, by default as the model was trained, or as many as --init-video has; rounded to what "
             "it can make")
      ->type_name("N")
      ->group(groups::what);
  add_number(app, "--fps", ask.fps, {.least = 0.01, .most = 1000.0},
             "Frames a second, by default as the model was trained, or as --init-video has")
      ->type_name("R")
      ->group(groups::what);
  add_size_options(
      app, ask.order,
      "In pixels, a multiple of 8 to 32 as the model has it; by default what the model was trained "
      "at, whatever pictures and films are given, which are scaled to it");
  add_number(app, "--count", ask.order.count, {1, 1000}, "Films to make in one run; film i has seed + i - 1")
      ->type_name("N")
      ->group(groups::what);
  add_number(app, "--seed", ask.order.seed, {0, std::numeric_limits<std::uint64_t>::max()},
             "Of the first film; drawn and printed when absent")
      ->type_name("N")
      ->group(groups::what);
}

void add_inputs(CLI::App& app, FilmAsk& ask, FilmCommand command) {
  auto& film = ask.order.request.film;
  const auto file = [&](const char* name, auto& target, const char* what) {
    return app.add_option(name, target, what)->check(file_name())->type_name("FILE")->group(heading::from);
  };
  auto* image = file("--image", ask.image, "The picture that the film begins with");
  if (command == FilmCommand::img2vid) image->required();
  file("--last-image", ask.last_image, "The picture that it ends with (Wan, LTX-Video)");
  app.add_option(
         "--condition", ask.conditions,
         "A picture or clip that it shows from a frame on, -1 being the last one; may be given several times")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("FILE@FRAME[:STRENGTH]")
      ->group(heading::from);
  auto* video =
      file("--init-video", ask.init_video,
           "A film to start from, or to follow: any file that --out can name, or a folder of pictures");
  if (command == FilmCommand::vid2vid) video->required();
  auto* interpolate =
      add_number(
          app, "--interpolate", film.interpolate, {2, 64},
          "Make so many times the frames of --init-video a second: these stay, those between them are made "
          "(AnimateDiff with SparseCtrl, LTX-Video)")
          ->needs(video)
          ->type_name("N")
          ->group(heading::from);
  interpolate->excludes(app.get_option("--frames"));
  add_number(app, "--strength", ask.order.request.input.strength, {0.0, 1.0},
             "0 to 1, how far to go from --init-video")
      ->needs(video)
      ->type_name("S")
      ->group(heading::from);
  file("--mask", ask.mask, "Of --init-video, white where to make it anew: a picture, or a film (VACE)")
      ->needs(video);
  app.add_option("--reference", ask.references,
                 "A picture of what to show, without a place in the film (VACE)")
      ->check(file_name())
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("FILE")
      ->group(heading::from);
}

void add_details(CLI::App& app, FilmAsk& ask) {
  auto& film = ask.order.request.film;
  app.add_option(
         "--motion", ask.order.comfort.motion,
         "Motion modules, with which a model of pictures makes films (AnimateDiff): a folder or a file")
      ->check(file_name())
      ->type_name("PATH")
      ->group(heading::film);
  add_number(app, "--motion-bucket", film.motion_bucket, {0.0f, 255.0f},
             "How much moves (Stable Video Diffusion)")
      ->type_name("N")
      ->capture_default_str()
      ->group(heading::film);
  add_number(app, "--noise-augmentation", film.noise_augmentation, {0.0f, 10.0f},
             "Noise on the picture that the film begins with (likewise)")
      ->type_name("S")
      ->capture_default_str()
      ->group(heading::film);
  add_number(app, "--window", film.windows.frames, {.least = 0},
             "Make a long film in windows of so many frames, blended where they overlap; 0: at once")
      ->type_name("N")
      ->capture_default_str()
      ->group(heading::film);
  add_number(app, "--window-stride", film.windows.stride, {.least = 0},
             "From one window's first frame to the next one's, by default a quarter of a window")
      ->type_name("N")
      ->group(heading::film);
  app.add_option_function<std::string>(
         "--window-noise",
         [&film](const std::string& name) {
           using Noise = FilmWindows::Noise;
           film.windows.noise = name == "random"     ? Noise::random
                                : name == "repeated" ? Noise::repeated
                                                     : Noise::shuffled;
         },
         "What frames behind the first window begin with: its noise in another order, again and again, or "
         "their own")
      ->check(CLI::IsMember({"shuffled", "repeated", "random"}))
      ->type_name("NAME")
      ->default_str("shuffled")
      ->group(heading::film);
  add_number(app, "--decode-chunk", film.decode_chunk, {.least = 0},
             "Frames that the decoder makes at once, where it matters; 0: as the model does")
      ->type_name("N")
      ->capture_default_str()
      ->group(heading::film);
  add_number(
      app, "--tile", ask.tile, {.least = 0},
      "The model works on tiles of so many pixels, blended in every step, for larger films than it was "
      "trained at; 0: of that size")
      ->type_name("PX")
      ->group(heading::film);
  add_number(app, "--tile-overlap", ask.tile_overlap, {.least = 0},
             "Pixels that neighbouring tiles share, by default a quarter of a tile")
      ->type_name("PX")
      ->group(heading::film);
  app.add_flag_callback(
         "--vae-tiling", [&ask] { ask.order.request.vae_tiling.use = VaeTiling::Use::on; },
         "The autoencoder works tile by tile, in less memory")
      ->group(heading::film);
}

void add_file(CLI::App& app, FilmAsk& ask) {
  add_number(app, "--quality", ask.file.quality, {0, 100},
             "0 to 100, of WebP (100: lossless), MP4, MKV, WebM …")
      ->type_name("N")
      ->capture_default_str()
      ->group(heading::file);
  app.add_option("--codec", ask.file.codec,
                 "libavcodec's name of an encoder, by default libx264, mpeg4, libvpx-vp9 …")
      ->type_name("NAME")
      ->group(heading::file);
  app.add_flag("--full-chroma", ask.file.full_chroma,
               "Y4M, MP4 …: a colour for each pixel (4:4:4), not for four")
      ->group(heading::file);
  app.add_flag("--full-range", ask.file.full_range, "Y4M, MP4 …: luma from 0 to 255, not 16 to 235")
      ->group(heading::file);
  app.add_option("--sheet", ask.sheet, "Write its frames side by side in one picture, too")
      ->check(png_name())
      ->type_name("FILE.png")
      ->group(groups::besides);
  auto* preview = app.add_option("--preview", ask.preview, "Write the film as it is so far, again and again")
                      ->check(file_name())
                      ->type_name("FILE")
                      ->group(groups::besides);
  add_number(app, "--preview-every", ask.order.preview_every, {.least = 1},
             "Steps between previews; each takes as long as the decoder")
      ->needs(preview)
      ->type_name("N")
      ->capture_default_str()
      ->group(groups::besides);
  app.add_flag("--quiet", ask.order.quiet, "Only warnings and errors on stderr")->group(groups::besides);
}

void add_command(CLI::App& parent, FilmCommand command, const char* name, const char* what,
                 const char* example) {
  auto* app = parent.add_subcommand(name, what);
  app->footer(
      "Example:\n  " + std::string(example) +
      "\nThe names of the files written go to stdout, everything else to stderr. Ctrl-C stops the run.");
  const auto ask = std::make_shared<FilmAsk>();
  add_film_options(*app, *ask, command);
  app->callback([ask] {
    require_model(ask->order);
    carry_out(*ask);
  });
}

}  // namespace

void add_film_options(CLI::App& app, FilmAsk& ask, FilmCommand command) {
  add_model_option(app, ask.order);
  add_prompt_texts(app, ask.order);
  if (command != FilmCommand::txt2vid) app.get_option("--prompt")->required(false);
  add_length(app, ask);
  add_sampling_options(app, ask.order);
  add_inputs(app, ask, command);
  add_details(app, ask);
  add_language_options(app, ask.order);
  add_lora_options(app, ask.order);
  add_source_options(app, ask.order);
  add_machine_options(app, ask.order);
  add_file(app, ask);
}

void add_txt2vid(CLI::App& parent) {
  add_command(parent, FilmCommand::txt2vid, "txt2vid",
              "Make a film from a prompt, and from pictures at its frames if given",
              "daguerre txt2vid --model models/Wan2.1-T2V-1.3B-Diffusers --prompt \"a fox runs\" --frames 33 "
              "--out fox.mp4");
}

void add_img2vid(CLI::App& parent) {
  add_command(
      parent, FilmCommand::img2vid, "img2vid", "Make a film that begins with a picture",
      "daguerre img2vid --model models/stable-video-diffusion-img2vid --image rocket.png --out rocket.gif");
}

void add_vid2vid(CLI::App& parent) {
  add_command(parent, FilmCommand::vid2vid, "vid2vid", "Make a film from a film",
              "daguerre vid2vid --model models/CogVideoX-2b --init-video fox.mp4 --strength 0.7 --prompt \"a "
              "wolf runs\" "
              "--out wolf.mp4");
}

}  // namespace daguerre::cli
