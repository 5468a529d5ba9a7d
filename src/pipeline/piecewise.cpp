#include "pipeline/piecewise.hpp"

#include <algorithm>

#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"
#include "pipeline/tiled_parts.hpp"

namespace daguerre {
namespace {

/// The run, and the second pass where there is one.
std::vector<const Task*> passes(const Plan& plan) {
  std::vector<const Task*> result{&plan.task};
  if (plan.second) result.push_back(&*plan.second);
  return result;
}

void tile_denoiser(const Tiles& tiles, const Model& model, Components& components, Plan& plan) {
  const Index ratio = model.format().space_ratio, multiple = ratio * model.denoiser().side_multiple;
  auto sides = model.default_size();
  if (tiles.size != 0) {
    check_side("the size of tiles", tiles.size, multiple);
    sides = {tiles.size, tiles.size};
  }
  const Index least = std::min(sides[0], sides[1]);
  const Index overlap = tiles.overlap < 0 ? least / 4 : tiles.overlap;
  if (overlap >= least)
    throw ArgumentError(pipeline_name, "tiles of " + std::to_string(least) + " pixels cannot overlap by " +
                                           std::to_string(overlap));
  for (const Task* task : passes(plan)) {
    if (!task->controls.empty() && (task->height > sides[0] || task->width > sides[1]))
      throw ArgumentError(pipeline_name,
                          "controls see whole pictures: one of " + std::to_string(task->width) + " x " +
                              std::to_string(task->height) + " in tiles of " + std::to_string(sides[1]) +
                              " x " + std::to_string(sides[0]) + " is not possible with them");
    if ((task->tiling.x && task->width > sides[1]) || (task->tiling.y && task->height > sides[0]))
      throw ArgumentError(pipeline_name,
                          "a picture without a seam cannot be made in tiles along the side that is to fit");
  }
  components.denoiser = tiled(components.denoiser, {sides[0] / ratio, sides[1] / ratio}, overlap / ratio);
  // Tiles of a model that was trained at other than squares have no single size.
  const bool is_square = sides[0] == sides[1];
  plan.parameters.emplace_back("Tile size", is_square ? std::to_string(sides[0]) : trained_tile);
  plan.parameters.emplace_back("Tile overlap", std::to_string(overlap));
}

/// Of how many frames a chunk is that is decoded at once: those that were asked for, or all, or, where
/// `memory` is less than these take, as many as fit, and two at least, which is then said and written into
/// the plan.
Index chunk_of_frames(const Model& model, Plan& plan, std::optional<std::uint64_t> memory) {
  constexpr Index least = 2;  // with none beside it a frame has nothing to be even with
  auto& chunk = plan.task.film.decode_chunk;
  const Index frames = std::max<Index>(1, model.frames_of(plan.task));
  if (chunk > 0) return std::min(chunk, frames);
  const auto of_one = static_cast<std::uint64_t>(
      std::max<Index>(1, model.format().bytes_per_pixel * plan.task.height * plan.task.width));
  const std::uint64_t fit = memory ? *memory / of_one : static_cast<std::uint64_t>(frames);
  if (fit >= static_cast<std::uint64_t>(frames) || frames <= least) return frames;
  chunk = std::max(least, static_cast<Index>(fit));
  plan.warnings.push_back("[pipeline] the autoencoder decodes " + std::to_string(chunk) +
                          " frames at a time: all would take about " +
                          std::to_string(of_one * static_cast<std::uint64_t>(frames) / 1'000'000) +
                          " MB, there are " + std::to_string(*memory / 1'000'000));
  plan.parameters.emplace_back("Decode chunk", std::to_string(chunk));
  return chunk;
}

void tile_autoencoder(const VaeTiling& tiling, const Model& model, Components& components, Plan& plan,
                      std::optional<std::uint64_t> memory) {
  constexpr Index usual = 512;  // large enough for what tiles see of each other, small enough for any machine
  const auto& format = model.format();
  Index height = 0, width = 0;
  for (const Task* task : passes(plan)) {
    height = std::max(height, task->height);
    width = std::max(width, task->width);
  }
  if (plan.task.tiling.any()) {  // each tile would meet its own other side
    if (tiling.use == VaeTiling::Use::on)
      throw ArgumentError(pipeline_name, "the autoencoder cannot make pictures without a seam in tiles");
    return;
  }
  if (tiling.use == VaeTiling::Use::off || model.family().part(Part::Kind::autoencoder) == nullptr) return;
  const bool seamless = tiling.blend == VaeTiling::Blend::seamless;
  const auto trained = model.default_size();
  Index side = std::max(trained[0], trained[1]);
  if (seamless) side = std::min(side, usual);
  if (tiling.size != 0) {
    check_side("the size of the autoencoder's tiles", tiling.size, 4 * format.space_ratio);
    side = tiling.size;
  }
  const Index frames = format.chunks ? chunk_of_frames(model, plan, memory) : 1;
  const auto needed = [&](Index rows, Index columns) {
    return static_cast<std::uint64_t>(std::max<Index>(0, format.bytes_per_pixel * frames * rows * columns));
  };
  if (tiling.use == VaeTiling::Use::automatic) {
    if (!memory || needed(height, width) <= *memory) return;
    const Index least = std::min(side, 16 * format.space_ratio);  // smaller ones see too little
    while (side / 2 >= least && needed(side, side) > *memory) side /= 2;
    side -= side % (4 * format.space_ratio);
    if (std::max(width, height) <= side) return;
    plan.warnings.push_back("[pipeline] the autoencoder works in tiles of " + std::to_string(side) +
                            " pixels: the whole picture would take about " +
                            std::to_string(needed(height, width) / 1'000'000) + " MB, there are " +
                            std::to_string(*memory / 1'000'000));
  }
  components.autoencoder =
      tiled(components.autoencoder, tiling.blend, std::max<Index>(4, side / format.space_ratio));
  plan.parameters.emplace_back("VAE tiling", seamless ? "seamless" : "reference");
  plan.parameters.emplace_back("VAE tile size", std::to_string(side));
}

}  // namespace

std::optional<std::uint64_t> memory_for_decoding(std::uint64_t limit, const PipelineInfo& info,
                                                 const Request& request) {
  constexpr std::uint64_t beside_tiles = 4'000'000'000;
  if (limit == 0) return request.tiles ? std::optional(beside_tiles) : std::nullopt;
  std::uint64_t kept = 0;
  for (const auto& part : info.parts)
    if (part.weights == WeightStorage::packed && part.residency == Residency::kept) kept += part.weight_bytes;
  return limit - std::min(limit, kept);
}

Model piecewise(const Model& model, const Request& request, Plan& plan, std::optional<std::uint64_t> memory) {
  auto components = model.components();
  if (request.tiles) tile_denoiser(*request.tiles, model, components, plan);
  tile_autoencoder(request.vae_tiling, model, components, plan, memory);
  return model.with_parts(std::move(components.denoiser), std::move(components.autoencoder));
}

}  // namespace daguerre
