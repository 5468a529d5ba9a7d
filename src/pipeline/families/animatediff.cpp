#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "daguerre/pipeline/preparation.hpp"
#include "pipeline/families/families.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"

namespace daguerre::families {
namespace {

/// The numbers below `count` in the order of as many drawn ones.
std::vector<Index> drawn_order(const float* drawn, Index count) {
  std::vector<Index> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return drawn[a] < drawn[b]; });
  return order;
}

/// The noise of frames behind the first window: that of earlier ones (Qiu et al. 2023, sec. 3.1; diffusers'
/// AnimateDiffFreeNoiseMixin).
Tensor<float> window_noise(const Preparation& of, const FilmWindows& windows) {
  const auto& given = of.task.latents;
  const Index count = of.shape[1], window = windows.frames;
  const bool is_window = given.rank() == 5 && given.dim(1) == window;
  if (window == 0 || window >= count || (!given.empty() && !is_window)) return given;
  auto shape = of.shape;
  if (windows.noise == FilmWindows::Noise::repeated || is_window) shape = shape.with(1, window);
  const auto first = initial_noise(given, shape, of.noise, of.family.order);
  if (windows.noise == FilmWindows::Noise::random && !is_window) return first;
  const Index stride = windows.of_attention()->stride;
  // Which of the first window's frames each frame has, film by film.
  std::vector<std::vector<Index>> sources(static_cast<std::size_t>(of.batch()));
  for (auto& source : sources)
    for (Index i = 0; i < count; ++i) source.push_back(i % window);
  // A stride's worth of those that lie a window's length before.
  if (windows.noise == FilmWindows::Noise::shuffled)
    for (Index begin = window; begin < count; begin += stride) {
      const auto drawn =
          of.noise.draw(NoiseStreams::Use::initial, {of.batch(), stride, 1, 1, 1}, of.family.order);
      for (std::size_t film = 0; film < sources.size(); ++film) {
        const auto order = drawn_order(drawn.data() + static_cast<Index>(film) * stride, stride);
        for (Index i = 0; i < stride && begin + i < count; ++i)
          sources[film][static_cast<std::size_t>(begin + i)] =
              sources[film][static_cast<std::size_t>(begin - window + order[static_cast<std::size_t>(i)])];
      }
    }
  std::vector<Tensor<float>> frames;
  for (std::size_t film = 0; film < sources.size(); ++film)
    for (const Index source : sources[film])
      frames.push_back(first[static_cast<Index>(film)].slice(source, source + 1));
  return concat_leading<float>(frames).reshape(of.shape);
}

void prepare_motion(const Preparation& of, Start& start) {
  auto family = of.family;
  // Noise that is added to a film is drawn frame by frame.
  if (!of.task.film.video.empty()) family.order = FilmOrder::frames_first;
  auto task = of.task;
  task.latents = window_noise(of, task.film.windows);
  prepare_standard({of.context, task, family, of.components, of.noise, of.shape}, start);
}

Family with_motion_modules(Family family) {
  for (auto& part : family.parts)
    if (part.kind == Part::Kind::denoiser) part.class_names = {"UNetMotionModel"};
  family.tasks.image = false;
  family.defaults.frames = 16;
  family.defaults.strength = 0.8;
  family.films.video = true;
  family.films.conditions = FilmTasks::Conditions::any;
  family.films.strength = true;
  family.prepare = prepare_motion;
  return family;
}

}  // namespace

Family animatediff() {
  auto family = with_motion_modules(stable_diffusion());
  family.name = "animatediff";
  family.title = "AnimateDiff";
  family.classes = {{"AnimateDiffPipeline"},
                    {"AnimateDiffVideoToVideoPipeline"},
                    {"AnimateDiffControlNetPipeline"},
                    {"AnimateDiffVideoToVideoControlNetPipeline"},
                    {"AnimateDiffSparseControlNetPipeline"}};
  return family;
}

Family animatediff_xl() {
  auto family = with_motion_modules(stable_diffusion_xl());
  family.name = "animatediff_xl";
  family.title = "AnimateDiff XL";
  family.classes = {{"AnimateDiffSDXLPipeline"}};
  return family;
}

}  // namespace daguerre::families
