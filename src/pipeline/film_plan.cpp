#include "pipeline/film_plan.hpp"

#include <algorithm>

#include "pipeline/components/components.hpp"
#include "pipeline/name.hpp"
#include "pipeline/prepare.hpp"

namespace daguerre {
namespace {

std::string gigabytes(double bytes) {
  const auto tenths = static_cast<std::int64_t>(bytes / 1e8 + 0.5);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GB";
}

/// A row for one of a film's numbers.
template <class SetFilm>
InfotextKeys::Set film_number(const char* key, SetFilm set) {
  return [=](const InfotextKeys::Reading& reading, const std::string& value) {
    if (const auto number = reading.number(key, value)) set(reading.result.request.film, *number);
  };
}

template <class SetFilm>
InfotextKeys::Set film_integer(const char* key, SetFilm set) {
  return [=](const InfotextKeys::Reading& reading, const std::string& value) {
    const auto number = reading.integer(key, value);
    if (!number) return;
    if (*number < 0 || *number > most_film_frames)
      reading.note(std::string(key) + " " + value + " is not possible");
    else
      set(reading.result.request.film, *number);
  };
}

InfotextKeys::Set film_input(std::string what) {
  return [what = std::move(what)](const InfotextKeys::Reading& reading, const std::string&) {
    reading.note("the film was made with " + what + ", which has to be given again");
  };
}

}  // namespace

void check_film_request(const Request& request, const Model& model) {
  const auto refuse = [&](bool given, const char* what) {
    if (given) throw ArgumentError(pipeline_name, model.family().title + " makes films: it takes no " + what);
  };
  refuse(!request.input.image.empty() || !request.input.mask.empty(),
         "picture or mask as pictures are made from; give conditions at frames, a video or a mask of it");
  refuse(request.hires.has_value(), "second pass (hires)");
  // Where every token has a time of its own, a tile's would have to be cut out of them.
  const auto& extras = model.denoiser().extras;
  refuse(request.tiles && std::find(extras.begin(), extras.end(), token_timesteps) != extras.end(),
         "tiles of its denoiser");
}

void settle_video(const Model& model, Plan& plan) {
  auto& task = plan.task;
  auto& video = task.film.video;
  if (video.empty() || !model.denoiser().films) return;
  const auto given = static_cast<Index>(video.size());
  if (task.film.frames == 0) {
    for (task.film.frames = given; task.film.frames > 1 && model.frames_of(task) > given;) --task.film.frames;
    task.film.frames = model.frames_of(task);
    if (task.film.frames < given)
      plan.warnings.push_back("[pipeline] the film has " + std::to_string(given) + " frames, " +
                              model.family().title + " takes the first " + std::to_string(task.film.frames) +
                              " of them");
  }
  const auto made = static_cast<std::size_t>(std::max<Index>(1, model.frames_of(task)));
  if (video.size() > made) video.resize(made);
  if (task.film.mask.size() > std::max<std::size_t>(1, made)) task.film.mask.resize(made);
}

void describe_film(const Model& model, Plan& plan) {
  if (!model.denoiser().films) return;
  const auto& film = plan.task.film;
  const FilmTask usual;
  const Index frames = model.frames_of(plan.task);
  if (film.frames > 0 && frames != film.frames)
    plan.warnings.push_back("[pipeline] " + std::to_string(film.frames) + " frames were asked for, " +
                            model.family().title + " makes " + std::to_string(frames));
  const auto add = [&](const std::string& key, const std::string& value) {
    plan.parameters.emplace_back(key, value);
  };
  const auto add_number = [&](const char* key, double value, double usual_value) {
    if (value != usual_value) add(key, number(value));
  };
  add("Frames", std::to_string(frames));
  add("FPS", number(model.frame_rate_of(plan.task)));
  // Of those of an interpolated film there may be thousands.
  constexpr std::size_t most_told = 16;
  if (film.conditions.size() > most_told) add("Film conditions", std::to_string(film.conditions.size()));
  for (std::size_t i = 0; i < film.conditions.size() && film.conditions.size() <= most_told; ++i) {
    const auto& condition = film.conditions[i];
    add("Film condition " + std::to_string(i), "Frame: " + std::to_string(condition.at) + ", Pictures: " +
                                                   std::to_string(condition.pictures.size()) +
                                                   ", Strength: " + number(condition.strength));
  }
  if (!film.video.empty()) {
    add("Start film", "given");
    if (!model.family().films.follows) add("Denoising strength", number(plan.task.strength));
  }
  if (!film.mask.empty()) add("Film mask", "given");
  if (!film.references.empty()) add("Reference pictures", std::to_string(film.references.size()));
  std::string scales;
  for (const float scale : film.scales) scales += (scales.empty() ? "" : " ") + number(scale);
  if (!scales.empty()) add("Film scales", scales);
  add_number("Motion bucket", film.motion_bucket, usual.motion_bucket);
  if (film.noise_augmentation != usual.noise_augmentation)
    add("Noise augmentation", number(film.noise_augmentation));
  if (film.condition_noise != usual.condition_noise) add("Condition noise", number(film.condition_noise));
  if (film.decode_timestep != usual.decode_timestep) add("Decode timestep", number(film.decode_timestep));
  if (film.decode_noise) add("Decode noise", number(*film.decode_noise));
  if (film.decode_chunk != 0) add("Decode chunk", std::to_string(film.decode_chunk));
  if (film.keeps_padding) add("Keeps padding", "True");
  if (!film.moves) add("Moves", "False");
  if (film.windows.frames != 0) {
    add("Window frames", std::to_string(film.windows.frames));
    add("Window stride", std::to_string(film.windows.of_attention()->stride));
    if (film.windows.weights != usual.windows.weights)
      add("Window weights", film.windows.weights == nn::TemporalWindows::Weights::flat ? "flat" : "sawtooth");
    if (film.windows.noise != usual.windows.noise)
      add("Window noise", film.windows.noise == FilmWindows::Noise::random ? "random" : "repeated");
  }
}

void check_film_memory(const Request& request, const Model& model, const Task& task, std::uint64_t memory) {
  if (!model.denoiser().films || memory == 0) return;
  check_task(task, model.family(), model.components());
  // What a step holds at least: the sample, the prediction of both sides, the sampler's last ones.
  constexpr double copies = 5.0;
  const auto shape = latent_shape(task, model.family(), model.components());
  double size = copies * sizeof(float);
  for (const Index side : shape) size *= static_cast<double>(side);
  const auto frames = static_cast<double>(model.frames_of(task));
  const double pictures = request.on_frame ? 0.0
                                           : 3.0 * frames * static_cast<double>(task.width) *
                                                 static_cast<double>(task.height) *
                                                 static_cast<double>(task.prompts.size());
  if (size + pictures <= static_cast<double>(memory)) return;
  throw ArgumentError(
      pipeline_name,
      "a film of " + std::to_string(model.frames_of(task)) + " frames of " + std::to_string(task.width) +
          " x " + std::to_string(task.height) + " takes at least " + gigabytes(size) + " for its latents" +
          (pictures > 0.0 ? " and " + gigabytes(pictures) + " for its frames" : "") + ", there are " +
          gigabytes(static_cast<double>(memory)) + "; make it shorter or smaller" +
          (pictures > size ? ", or take its frames as they come (on_frame)" : ""));
}

void add_film_keys(InfotextKeys& keys) {
  keys.add("Frames", film_integer("Frames", [](FilmTask& film, Index number) { film.frames = number; }));
  keys.add("FPS", film_number("FPS", [](FilmTask& film, double number) { film.frame_rate = number; }));
  keys.add("Film conditions", film_input("pictures at its frames"));
  for (int i = 0; i < 16; ++i)
    keys.add("Film condition " + std::to_string(i), film_input("pictures at its frames"));
  keys.add("Start film", film_input("another film to start from"));
  keys.add("Film mask", film_input("a mask"));
  keys.add("Reference pictures", film_input("pictures to look at"));
  keys.add("Film scales", [](const InfotextKeys::Reading& reading, const std::string& value) {
    auto& scales = reading.result.request.film.scales;
    scales.clear();
    for (std::size_t begin = 0; begin < value.size();) {
      const auto end = std::min(value.find(' ', begin), value.size());
      const auto number = reading.number("Film scales", value.substr(begin, end - begin));
      if (!number) return;
      scales.push_back(static_cast<float>(*number));
      begin = end + 1;
    }
  });
  const auto real = [&](const char* key, float FilmTask::*member) {
    keys.add(key, film_number(key, [=](FilmTask& film, double number) {
               film.*member = static_cast<float>(number);
             }));
  };
  real("Motion bucket", &FilmTask::motion_bucket);
  real("Noise augmentation", &FilmTask::noise_augmentation);
  real("Condition noise", &FilmTask::condition_noise);
  real("Decode timestep", &FilmTask::decode_timestep);
  keys.add("Decode noise", film_number("Decode noise", [](FilmTask& film, double number) {
             film.decode_noise = static_cast<float>(number);
           }));
  keys.add("Decode chunk",
           film_integer("Decode chunk", [](FilmTask& film, Index number) { film.decode_chunk = number; }));
  keys.add("Window frames",
           film_integer("Window frames", [](FilmTask& film, Index number) { film.windows.frames = number; }));
  keys.add("Window stride",
           film_integer("Window stride", [](FilmTask& film, Index number) { film.windows.stride = number; }));
  keys.add("Window weights", [](const InfotextKeys::Reading& reading, const std::string& value) {
    using Weights = nn::TemporalWindows::Weights;
    reading.result.request.film.windows.weights = value == "flat"       ? Weights::flat
                                                  : value == "sawtooth" ? Weights::sawtooth
                                                                        : Weights::pyramid;
  });
  keys.add("Window noise", [](const InfotextKeys::Reading& reading, const std::string& value) {
    using Noise = FilmWindows::Noise;
    reading.result.request.film.windows.noise = value == "random"     ? Noise::random
                                                : value == "repeated" ? Noise::repeated
                                                                      : Noise::shuffled;
  });
  keys.add("Keeps padding", [](const InfotextKeys::Reading& reading, const std::string& value) {
    reading.result.request.film.keeps_padding = value == "True";
  });
  keys.add("Moves", [](const InfotextKeys::Reading& reading, const std::string& value) {
    reading.result.request.film.moves = value != "False";
  });
}

void deliver_films(const ops::Context& context, const Model& model, const Task& task,
                   const Tensor<float>& latents, NoiseStreams& noise, const Request& request,
                   Result& result) {
  const Index expected = model.frames_of(task);
  result.frame_rate = model.frame_rate_of(task);
  std::vector<Index> counts(static_cast<std::size_t>(latents.dim(0)), 0);
  std::vector<Tensor<float>> decoded;
  model.decode_films(context, latents, task, &noise, [&](Index film, const Tensor<float>& frames) {
    const auto all = frames.slice(0, 1)[0];
    if (request.output.decoded) decoded.push_back(all);
    for (Index i = 0; i < all.dim(0); ++i) {
      auto image = to_image(all, i);
      auto& index = counts[static_cast<std::size_t>(film)];
      if (!request.on_frame) {
        result.images.push_back(std::move(image));
      } else if (!request.on_frame({.film = static_cast<int>(film),
                                    .index = index,
                                    .total = std::max(expected, index + 1),
                                    .frame_rate = result.frame_rate,
                                    .settings = result.infotexts[static_cast<std::size_t>(film)],
                                    .image = image})) {
        throw Cancelled(pipeline_name, "the frame callback stopped the run");
      }
      ++index;
    }
  });
  result.frames = static_cast<std::size_t>(counts.front());
  if (!request.output.decoded) return;
  const auto all = concat_leading<float>(decoded);
  result.decoded = all.reshape({latents.dim(0), counts.front(), all.dim(1), all.dim(2), all.dim(3)});
}

std::vector<Image> film_preview(const ops::Context& context, const Model& model, const Task& task,
                                const Tensor<float>& latents, const Autoencoder* small) {
  std::vector<Image> images;
  const auto take = [&](const Tensor<float>& frames) {
    const auto all = frames.slice(0, 1)[0];
    for (Index i = 0; i < all.dim(0); ++i) images.push_back(to_image(all, i));
  };
  if (small != nullptr)
    small->decode_film(context, small->info().from_model(latents), {}, take);
  else
    model.decode_film(context, latents, task, nullptr, take);
  if (images.empty()) throw ArgumentError(pipeline_name, "the autoencoder of previews gave no frame");
  return images;
}

}  // namespace daguerre
