#include "conformance/pipeline_inputs.hpp"

#include <utility>
#include <vector>

namespace daguerre::conformance {
namespace {

using Json = nlohmann::json;

/// The one that the n-th picture of a run goes to: what its note says, the one with modes where one is given,
/// else "controlnet", "controlnet_1" … or "adapter", "adapter_1" …
std::shared_ptr<const Control> control_of(const Controls& controls, const Config& config, bool has_mode,
                                          std::size_t n) {
  const std::string note = config.optional_string("note").value_or("");
  const std::string base = controls.contains("adapter") ? "adapter" : "controlnet";
  for (const auto& [name, control] : controls) {
    const bool named = note == "run with " + name || note.starts_with("run with " + name + ":");
    if (named || (has_mode && control->info().modes > 0)) return control;
  }
  const bool same = note.starts_with("the same ControlNet twice");
  return controls.at(n == 0 || same ? base : base + "_" + std::to_string(n));
}

/// The n-th of a list, a number for all, or `fallback` where nothing is given.
double number_of(const Json& arguments, const char* key, std::size_t n, double fallback) {
  const auto value = arguments.value(key, Json());
  if (value.is_null()) return fallback;
  return value.is_array() ? value.at(n).get<double>() : value.get<double>();
}

}  // namespace

Tensor<float> RecordedNoise::draw(Use use, const Shape& shape, FilmOrder order) {
  const std::string kind = use == Use::initial       ? "init"
                           : use == Use::autoencoder ? "vae"
                           : use == Use::decoder     ? "dec"
                                                     : "step";
  // What a decoder's latents are mixed with is recorded with a run's first noise where that was not drawn.
  if (use == Use::decoder && shape.rank() == 5) {
    const auto name = "noise.dec." + std::to_string(next_[static_cast<std::size_t>(use)]);
    if (!run_.has(name) || run_.tensor(name).size() != shape.size()) return draw(Use::initial, shape, order);
  }
  auto& index = next_[static_cast<std::size_t>(use)];
  if (auto& first = first_[static_cast<std::size_t>(use)]; index == 0 && !first.empty()) {
    ++index;
    return std::exchange(first, {});
  }
  // A step's second draw of a film.
  if (auto& name = again_[static_cast<std::size_t>(use)]; !name.empty())
    return film_like(run_, std::exchange(name, {}), shape, order);
  // A step that draws nothing leaves a gap in the numbers.
  while (index < 1000 && !run_.has("noise." + kind + "." + std::to_string(index))) ++index;
  if (index == 1000) throw ArgumentError("conformance", "more noise." + kind + " is drawn than was recorded");
  auto noise = run_.tensor("noise." + kind + "." + std::to_string(index));
  // Of films, and of planes: drawn at once.
  if (shape.rank() == 5 || noise.rank() < shape.rank()) {
    noise = film_like(run_, "noise." + kind + "." + std::to_string(index), shape, order);
    if (noise.shape() == shape) {
      const auto second = "noise." + kind + "." + std::to_string(index++) + ".1";
      if (run_.has(second)) again_[static_cast<std::size_t>(use)] = second;
      return noise;
    }
  }
  auto& row = rows_[static_cast<std::size_t>(use)];
  const Index rows = noise.dim(0);
  if (row + shape[0] <= rows) noise = noise.slice(row, row + shape[0]);
  row += shape[0];
  if (row >= rows) {
    row = 0;
    ++index;
  }
  // Drawn for one picture, which was then taken for all: the small one that an upscaler is given.
  if (rows == 1 && shape[0] > 1 && noise.shape() == shape.with(0, 1))
    noise = concat_leading<float>(std::vector<Tensor<float>>(static_cast<std::size_t>(shape[0]), noise));
  if (!(noise.shape() == shape))
    throw ArgumentError("conformance", "noise." + kind + " is " + to_string(noise.shape()) + ", asked for " +
                                           to_string(shape));
  return noise;
}

Controls controls_in(const std::filesystem::path& folder, const Model& model, const LoadContext& context) {
  Controls result;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto config = entry.path() / "config.json";
    if (!std::filesystem::exists(config)) continue;
    const auto name = Config::load(config).class_name();
    if (name.find("ControlNet") != name.npos || name == "T2IAdapter")
      result.emplace(entry.path().filename().string(), load_control(entry.path(), model, context));
  }
  return result;
}

void set_controls(const Config& config, const Json& arguments, const Recorded& run, const Controls& controls,
                  Task& task) {
  if (controls.empty()) return;
  const std::string key = run.has("in.control_image") ? "control_image" : "image";
  std::vector<std::string> images{"in." + key};
  if (arguments.contains(key) && arguments.at(key).is_array())
    images = arguments.at(key).get<std::vector<std::string>>();
  for (std::size_t i = 0; i < images.size(); ++i) {
    ControlTask control;
    if (!arguments.value("control_mode", Json()).is_null())
      control.mode = arguments.at("control_mode").get<int>();
    control.control = control_of(controls, config, control.mode.has_value(), i);
    control.image = run.tensor(images[i]);
    const bool adapter = control.control->info().title == "T2I-Adapter";
    control.scale = static_cast<float>(number_of(
        arguments, adapter ? "adapter_conditioning_scale" : "controlnet_conditioning_scale", i, 1.0));
    control.start = number_of(arguments, "control_guidance_start", i, 0.0);
    control.end =
        number_of(arguments, adapter ? "adapter_conditioning_factor" : "control_guidance_end", i, 1.0);
    control.guess_mode = arguments.value("guess_mode", false);
    task.controls.push_back(std::move(control));
  }
}

}  // namespace daguerre::conformance
