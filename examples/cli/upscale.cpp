#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include <daguerre/media/film.hpp>
#include <daguerre/media/image.hpp>
#include <daguerre/pipeline/upscaler.hpp>

#include "commands.hpp"
#include "diffusion_upscale.hpp"
#include "files.hpp"
#include "interrupt.hpp"
#include "numbers.hpp"
#include "order.hpp"
#include "progress.hpp"

namespace daguerre::cli {
namespace {

struct UpscaleRequest {
  std::string model, from, to, precision = "auto";
  std::optional<double> scale;
  DiffusionUpscale diffusion;
  UpscalerOptions load;
  int tile = 256;
  std::optional<int> overlap;
  int quality = 80;
  bool quiet = false;
};

bool is_png(const std::filesystem::path& path) {
  return png_name()(path.string()).empty();
}

/// By a model's folder, which makes one picture.
void run_diffusion(const UpscaleRequest& request, const Interrupt& interrupt, Progress& progress) {
  if (request.scale) throw ArgumentError("upscale", "--scale is not for models that enlarge by diffusion");
  if (!is_png(request.to))
    throw ArgumentError("upscale", request.to + ": models that enlarge by diffusion write PNG files");
  auto diffusion = request.diffusion;
  diffusion.model = request.model;
  diffusion.from = request.from;
  diffusion.to = request.to;
  diffusion.tile = request.tile;
  diffusion.overlap = request.overlap;
  LoadOptions load;
  load.engine = request.load.engine;
  load.threads = request.load.threads;
  load.precision = precision_called(request.precision);
  load.log = progress.warnings();
  load.stop = interrupt.token();
  upscale_by_diffusion(std::move(diffusion), load, interrupt, progress);
  std::printf("%s\n", request.to.c_str());
}

void run(UpscaleRequest request, bool has_diffusion_options) {
  const Interrupt interrupt;
  Progress progress(request.quiet);
  const std::filesystem::path to(request.to);
  if (to.has_extension()) check_writable("OUT", to);
  if (is_diffusion_model(request.model)) return run_diffusion(request, interrupt, progress);
  if (has_diffusion_options)
    throw ArgumentError("upscale", request.model +
                                       " is a network's file: prompts, steps, guidance, noise and seeds are "
                                       "for models that enlarge by diffusion, which are folders");
  FilmReader film(request.from);
  const bool is_picture = film.info().frames == 1 && is_png(to);
  request.load.precision = precision_called(request.precision);
  request.load.log = progress.warnings();
  request.load.stop = interrupt.token();
  const auto upscaler = Upscaler::load(request.model, request.load);
  progress.note(request.model + ": " + upscaler.description());
  const double scale = request.scale.value_or(static_cast<double>(upscaler.scale()));
  const auto scaled = [&](Index size) { return static_cast<Index>(static_cast<double>(size) * scale + 0.5); };
  const int overlap = request.overlap.value_or(request.tile == 0 ? 32 : std::min(32, request.tile / 4));
  std::int64_t done_frames = 0;
  UpscaleOptions options{.tile = request.tile, .overlap = overlap, .stop = interrupt.token()};
  options.on_tile = [&](int done, int total) {
    const std::string frame = is_picture ? "" : "frame " + std::to_string(done_frames + 1) + ", ";
    progress.stage(frame + "tile " + std::to_string(done) + " of " + std::to_string(total));
    return true;
  };
  const auto enlarged = [&](const Image& image) {
    return upscaler(image, scaled(image.width()), scaled(image.height()), options);
  };
  if (is_picture) {
    const Image image = Image::load(request.from);
    const Image result = enlarged(image);
    progress.clear();
    result.save_png(to);
  } else {
    const auto& info = film.info();
    FilmWriter out(to, {.frame_rate = info.frame_rate > 0.0 ? info.frame_rate : 8.0,
                        .text = info.text,
                        .quality = request.quality});
    for (auto frame = film.next(); frame; frame = film.next(), ++done_frames) out.write(enlarged(*frame));
    progress.clear();
    out.finish();
  }
  std::printf("%s\n", request.to.c_str());
}

}  // namespace

void add_upscale(CLI::App& parent) {
  auto* app = parent.add_subcommand(
      "upscale", "Enlarge a picture, or a film frame by frame, with a network trained for it");
  app->footer(
      "Examples:\n"
      "  daguerre upscale --model RealESRGAN_x4plus.safetensors photo.jpg large.png\n"
      "  daguerre upscale --model 4x-UltraSharp.safetensors --scale 2 --tile 128 photo.jpg large.png\n"
      "  daguerre upscale --model models/stable-diffusion-x4-upscaler --prompt \"a white cat\" small.png "
      "large.png\n"
      "examples/models/convert_pickle.py makes such files of .pth files.");
  const auto request = std::make_shared<UpscaleRequest>();
  app->add_option("--model", request->model,
                  "Safetensors file of an RRDBNet (ESRGAN) or SRVGGNetCompact, or the folder of a model that "
                  "enlarges by diffusion: Stable Diffusion's x4 upscaler, DeepFloyd IF's second stage")
      ->check(file_name())
      ->type_name("PATH")
      ->required();
  app->add_option("from", request->from, "The picture or film to enlarge")
      ->check(file_name())
      ->type_name("IN")
      ->required();
  app->add_option("to", request->to, "The PNG file to write, of films any that txt2vid --out takes")
      ->check(file_name())
      ->type_name("OUT")
      ->required();
  add_number(*app, "--scale", request->scale, {.least = 0.01, .most = 64.0},
             "How many times as large the picture becomes, by default as the network makes it");
  add_number(*app, "--tile", request->tile, {.least = 0, .most = 16384},
             "A tile's side in pixels of the picture, which decides how much memory is taken; 0: no tiles")
      ->capture_default_str();
  add_number(*app, "--tile-overlap", request->overlap, {.least = 0, .most = 4096},
             "Pixels that neighbouring tiles share, a quarter of a tile at most; by default that, or 32");
  add_number(*app, "--quality", request->quality, {0, 100}, "Of a film's file, see txt2vid --help")
      ->capture_default_str();
  app->add_option("--engine", request->load.engine, "onednn, native, or auto")
      ->capture_default_str()
      ->type_name("NAME");
  app->add_option("--precision", request->precision, "f32, bf16, or auto")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str()
      ->type_name("TYPE");
  add_number(*app, "--threads", request->load.threads, {.least = 0, .most = 4096},
             "Number of threads; 0: as many as there are processors")
      ->capture_default_str();
  app->add_flag("--quiet", request->quiet, "Only warnings and errors on stderr");
  add_diffusion_upscale_options(*app, request->diffusion);
  app->callback([app, request] {
    bool has_diffusion_options = false;
    for (const char* name :
         {"--prompt", "--negative", "--steps", "--guidance", "--noise-level", "--seed", "--sampler"})
      has_diffusion_options = has_diffusion_options || app->count(name) > 0;
    run(*request, has_diffusion_options);
  });
}

}  // namespace daguerre::cli
