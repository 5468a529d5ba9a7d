#include <algorithm>
#include <cmath>

#include "conformance/pipeline_inputs.hpp"
#include "daguerre/core/layout.hpp"
#include "daguerre/ops/elementwise.hpp"

/// What recorded runs of pipelines that make films were given, and the reference's layouts of films.
namespace daguerre::conformance {
namespace {

using Json = nlohmann::json;

/// Pictures `[N, 3 or 1, H, W]` in [0, 1], multiples of 1/255, as they were given: in 8 bits.
std::vector<Image> pictures_of(const Recorded& run, const std::string& name) {
  const auto all = run.tensor(name);
  std::vector<Image> pictures;
  for (Index n = 0; n < all.dim(0); ++n) {
    const auto one = all[n];
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(one.size()));
    std::transform(one.data(), one.data() + one.size(), bytes.begin(), [](float value) {
      return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0f, 1.0f) * 255.0f));
    });
    Image picture(one.dim(1), one.dim(0), one.dim(2));
    std::copy(bytes.begin(), bytes.end(), picture.pixels().begin());
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

void set_conditions(const Json& arguments, const Recorded& run, FilmTask& film) {
  const bool at_frames = arguments.contains("frame_index");
  const Index at = arguments.value("frame_index", Index{0});
  const double strength = at_frames ? arguments.value("strength", 1.0) : 1.0;
  if (arguments.contains("conditions")) {
    for (const auto& condition : arguments.at("conditions"))
      film.conditions.push_back({pictures_of(run, condition.at("image").get<std::string>()),
                                 condition.at("frame_index").get<Index>(), condition.value("strength", 1.0)});
    return;
  }
  if (run.has("in.image")) film.conditions.push_back({pictures_of(run, "in.image"), at, strength});
  if (run.has("in.last_image")) film.conditions.push_back({pictures_of(run, "in.last_image"), -1, 1.0});
  if (run.has("in.video") && at_frames) {
    auto clip = pictures_of(run, "in.video");
    // Given as a list of pictures, of which the reference takes the first for the whole film.
    if (run.has("mid.vae_encode_mean.0") && run.file().read<float>("mid.vae_encode_mean.0").dim(2) == 1)
      clip.resize(1);
    film.conditions.push_back({std::move(clip), at, strength});
  }
}

/// What SparseCtrl keeps to.
void set_sparse_control(const Json& arguments, const Recorded& run, const Controls& controls, Task& task) {
  if (!run.has("in.conditioning_frames")) return;
  ControlTask control;
  control.control = controls.at("controlnet");
  const auto pictures = run.tensor("in.conditioning_frames");
  control.image = control.control->info().centred ? ops::affine({}, pictures, 2.0f, -1.0f) : pictures;
  control.frames = arguments.value("controlnet_frame_indices", std::vector<Index>{0});
  control.scale = arguments.value("controlnet_conditioning_scale", 1.0f);
  control.start = arguments.value("control_guidance_start", 0.0);
  control.end = arguments.value("control_guidance_end", 1.0);
  control.guess_mode = arguments.value("guess_mode", false);
  task.controls.push_back(std::move(control));
}

nn::TemporalWindows::Weights weights_called(const std::string& name) {
  using enum nn::TemporalWindows::Weights;
  if (name == "flat") return flat;
  if (name == "pyramid") return pyramid;
  if (name == "delayed_reverse_sawtooth") return sawtooth;
  throw ConfigError("conformance", "weighting_scheme \"" + name + "\" is not supported");
}

}  // namespace

const std::set<std::string>& film_arguments() {
  static const std::set<std::string> known{"num_frames",
                                           "video_length",
                                           "frame_rate",
                                           "fps",
                                           "target_fps",
                                           "guidance_scale_2",
                                           "use_dynamic_cfg",
                                           "decode_timestep",
                                           "decode_noise_scale",
                                           "image_cond_noise_scale",
                                           "frame_index",
                                           "conditions",
                                           "conditioning_scale",
                                           "mask_feature",
                                           "enable_temporal_attentions",
                                           "controlnet_frame_indices",
                                           "free_noise",
                                           "decode_chunk_size",
                                           "motion_bucket_id",
                                           "noise_aug_strength",
                                           "min_guidance_scale",
                                           "max_guidance_scale"};
  return known;
}

void set_film(const Json& arguments, const Recorded& run, const Model& model, const Controls& controls,
              Task& task) {
  set_sparse_control(arguments, run, controls, task);
  auto& film = task.film;
  film.frames = arguments.value("num_frames", arguments.value("video_length", Index{0}));
  for (const char* key : {"frame_rate", "fps", "target_fps"})
    film.frame_rate = arguments.value(key, film.frame_rate);
  set_conditions(arguments, run, film);
  if (run.has("in.video") && !arguments.contains("frame_index")) {
    film.video = pictures_of(run, "in.video");
    if (film.frames == 0) film.frames = static_cast<Index>(film.video.size());
  }
  if (run.has("in.mask")) film.mask = pictures_of(run, "in.mask");
  if (run.has("in.reference")) film.references = pictures_of(run, "in.reference");
  if (arguments.contains("conditioning_scale")) {
    const auto& scale = arguments.at("conditioning_scale");
    film.scales = scale.is_array() ? scale.get<std::vector<float>>() : std::vector<float>{scale.get<float>()};
  }
  film.motion_bucket = arguments.value("motion_bucket_id", film.motion_bucket);
  film.noise_augmentation = arguments.value("noise_aug_strength", film.noise_augmentation);
  film.condition_noise = arguments.value("image_cond_noise_scale", film.condition_noise);
  film.decode_timestep = arguments.value("decode_timestep", 0.0f);
  if (arguments.contains("decode_noise_scale"))
    film.decode_noise = arguments.at("decode_noise_scale").get<float>();
  film.decode_chunk = arguments.value("decode_chunk_size", Index{0});
  film.keeps_padding = !arguments.value("mask_feature", true);
  film.moves = arguments.value("enable_temporal_attentions", true);
  if (arguments.contains("free_noise")) {
    const auto& windows = arguments.at("free_noise");
    const std::string noise = windows.value("noise_type", "shuffle_context");
    using enum FilmWindows::Noise;
    film.windows = {.frames = windows.value("context_length", Index{16}),
                    .stride = windows.value("context_stride", Index{4}),
                    .weights = weights_called(windows.value("weighting_scheme", "pyramid")),
                    .noise = noise == "random"           ? random
                             : noise == "repeat_context" ? repeated
                                                         : shuffled};
  }
  if (arguments.contains("guidance_scale_2"))
    task.guidance.scale_2 = arguments.at("guidance_scale_2").get<float>();
  task.guidance.dynamic = arguments.value("use_dynamic_cfg", false);
  if (arguments.contains("max_guidance_scale")) {
    task.guidance.scale = arguments.at("max_guidance_scale").get<float>();
    task.guidance.first_scale = arguments.value("min_guidance_scale", 1.0f);
  }
  if (run.has("in.latents")) {
    const auto order = model.family().order;
    const auto raw = run.file().read<float>("in.latents");
    // Some pipelines are given latents in another order than their sampler sees.
    const auto other =
        order == FilmOrder::channels_first ? FilmOrder::frames_first : FilmOrder::channels_first;
    const bool fits = raw.dim(order == FilmOrder::frames_first ? 2 : 1) == model.format().channels;
    task.latents = film_layout(raw, fits ? order : other);
  }
}

Tensor<float> noise_before_mixing(const ops::Context& context, const Recorded& run, const Model& model,
                                  const Task& task) {
  const auto& conditions = task.film.conditions;
  if (conditions.empty() || conditions[0].at != 0 || conditions[0].strength == 1.0 ||
      conditions[0].pictures.size() != 1)
    return {};
  auto picture = run.tensor(run.has("in.video") ? "in.video" : "in.image").slice(0, 1).clone();
  for (float& value : picture.span()) value = 2.0f * value - 1.0f;
  const auto encoded = model.components().autoencoder->encode(
      context, picture.reshape({1, 1, picture.dim(1), picture.dim(2), picture.dim(3)}));
  auto known = encoded.mean.clone();
  const auto drawn = film_like(run, "noise.vae.0", known.shape(), FilmOrder::channels_first);
  for (Index i = 0; i < known.size(); ++i)
    known.data()[i] +=
        encoded.std.span()[static_cast<std::size_t>(i)] * drawn.span()[static_cast<std::size_t>(i)];
  known = model.format().to_model(known);
  auto noise = film_layout(run.file().read<float>("noise.init.0"), FilmOrder::channels_first);
  const double strength = conditions[0].strength;
  for (Index i = 0; i < known.size(); ++i) {  // the first of the film's latent frames
    const double mixed = static_cast<double>(noise.data()[i]);
    noise.data()[i] =
        static_cast<float>((mixed - strength * static_cast<double>(known.data()[i])) / (1.0 - strength));
  }
  return noise;
}

Tensor<float> film_layout(const Tensor<float>& recorded, FilmOrder order) {
  if (recorded.rank() != 5) return recorded;
  const auto& s = recorded.shape();
  if (order == FilmOrder::frames_first)
    return to_channels_last(recorded.reshape({s[0] * s[1], s[2], s[3], s[4]}))
        .reshape({s[0], s[1], s[3], s[4], s[2]});
  return to_channels_last(recorded.reshape({s[0], s[1], s[2] * s[3], s[4]}))
      .reshape({s[0], s[2], s[3], s[4], s[1]});
}

Tensor<float> film_like(const Recorded& run, const std::string& name, const Shape& shape, FilmOrder order) {
  const auto raw = run.file().read<float>(name);
  if (raw.rank() == 5) {
    const auto other =
        order == FilmOrder::channels_first ? FilmOrder::frames_first : FilmOrder::channels_first;
    auto film = film_layout(raw, order);
    return film.shape().tail() == shape.tail() ? film : film_layout(raw, other);
  }
  auto film = raw.rank() == 4 ? to_channels_last(raw) : raw;
  return film.size() == shape.size() ? film.reshape(shape) : film;
}

}  // namespace daguerre::conformance
