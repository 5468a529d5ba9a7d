#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <string_view>

#include <nlohmann/json.hpp>

#include "conformance/case.hpp"
#include "daguerre/media/clip_image_processor.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/ops/interpolate.hpp"
#include "pipeline/clip_image_processor.hpp"

/// Cases of pictures, which have a case.json and no configuration: files read, pictures resized, pictures
/// made into what models are given.
namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// [H, W, C] or [H, W] of values from 0 to 255.
Image image_of(const Tensor<float>& values) {
  Image image(values.dim(1), values.dim(0), values.rank() == 2 ? 1 : values.dim(2));
  std::ranges::transform(values.span(), image.pixels().begin(),
                         [](float value) { return static_cast<std::uint8_t>(value); });
  return image;
}

Tensor<float> values_of(const Image& image, const Shape& like) {
  Tensor<float> values({image.height(), image.width(), image.channels()});
  std::ranges::copy(image.pixels(), values.data());
  return like.rank() == 2 && image.channels() == 1 ? values.reshape({image.height(), image.width()}) : values;
}

/// Pictures of another size are infinitely far apart.
void compare(Result& result, const std::string& name, const Tensor<float>& actual,
             const Tensor<float>& expected, double bound) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const bool fits = actual.shape() == expected.shape();
  result.checks.push_back(
      {name, fits ? test::difference(actual, expected) : test::Difference{infinity, infinity}, bound});
}

/// Whether this build has a reader for the file's format. One that is not known at all is read, and fails.
bool is_readable(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::array<char, 32> start{};
  stream.read(start.data(), start.size());
  const auto format = image_format(std::as_bytes(std::span(start)));
  return std::ranges::none_of(picture_formats(), [&](const PictureFormat& known) {
    return known.name == format && !known.is_readable;
  });
}

/// Pixels are equal, those of JPEG files too: libjpeg's arithmetic is part of what the reference computes.
/// Only files of formats whose libraries were not compiled in are left out.
Result run_files(const fs::path& folder, const Json& description, const Recorded& recorded) {
  Result result;
  for (const auto& entry : description.at("files")) {
    const auto file = entry.at("file").get<std::string>();
    if (!is_readable(folder / file)) continue;
    auto key = "out." + file + ".";
    std::ranges::replace(key.begin() + 4, key.end() - 1, '.', '_');
    const Image image = Image::load(folder / file);
    const auto rgb =
        recorded.file().read<float>(recorded.has(key + "load_image") ? key + "load_image" : key + "rgb");
    compare(result, file, values_of(image.to_channels(3), rgb.shape()), rgb, 0.0);
    if (!recorded.has(key + "rgba")) continue;
    const auto rgba = recorded.file().read<float>(key + "rgba");
    compare(result, file + " with alpha", values_of(image.to_channels(4), rgba.shape()), rgba, 0.0);
  }
  return result;
}

Resampling resampling_called(const std::string& name) {
  using enum Resampling;
  constexpr std::array<std::pair<std::string_view, Resampling>, 6> known{{{"NEAREST", nearest},
                                                                          {"BOX", box},
                                                                          {"BILINEAR", bilinear},
                                                                          {"HAMMING", hamming},
                                                                          {"BICUBIC", bicubic},
                                                                          {"LANCZOS", lanczos}}};
  for (const auto& [pil, resampling] : known)
    if (pil == name) return resampling;
  throw ArgumentError("conformance", "there is no filter " + name);
}

/// Pictures of 8 bits, whole or in part, and channels as float32 ("rgb channel 0 / 255 as float32").
Result run_resizing(const Json& description, const Recorded& recorded) {
  constexpr std::string_view as_floats = " channel 0 / 255 as float32";
  Result result;
  for (const auto& entry : description.at("cases")) {
    const auto name = entry.at("name").get<std::string>();
    const auto resampling = resampling_called(entry.at("filter").get<std::string>());
    const Index width = entry.at("size").at(0), height = entry.at("size").at(1);
    auto source = entry.at("source").get<std::string>();
    const auto expected = recorded.file().read<float>("out." + name);
    if (source.ends_with(as_floats)) {
      source.resize(source.size() - as_floats.size());
      const Image image = image_of(recorded.file().read<float>("in." + source));
      Tensor<float> values({1, image.height(), image.width(), 1});
      float* to = values.data();
      for (Index i = 0; i < values.size(); ++i)
        to[i] = static_cast<float>(image.pixels()[static_cast<std::size_t>(i * image.channels())]) / 255.0f;
      compare(result, name, resized(values, width, height, resampling).reshape({height, width}), expected,
              1e-6);
      continue;
    }
    const Image image = image_of(recorded.file().read<float>("in." + source));
    ImageBox box{0.0, 0.0, static_cast<double>(image.width()), static_cast<double>(image.height())};
    if (const auto found = entry.find("box"); found != entry.end())
      box = {found->at(0), found->at(1), found->at(2), found->at(3)};
    compare(result, name, values_of(image.resized(width, height, resampling, box), expected.shape()),
            expected, 0.0);
  }
  return result;
}

/// torch.nn.functional.interpolate.
Result run_interpolation(const Json& description, const Recorded& recorded) {
  Result result;
  const auto x = recorded.tensor("in.x");
  for (const auto& entry : description.at("cases")) {
    using enum ops::Interpolation;
    const auto mode = entry.at("mode").get<std::string>();
    const auto name = entry.at("name").get<std::string>();
    ops::InterpolateOptions options;
    options.mode = mode == "nearest"         ? nearest
                   : mode == "nearest-exact" ? nearest_exact
                   : mode == "bicubic"       ? bicubic
                   : mode == "area"          ? area
                                             : bilinear;
    options.antialias = entry.value("antialias", false);
    const auto expected = recorded.tensor("out." + name);
    for (const char* key : {"scale_factor", "factor"})
      if (const auto found = entry.find(key); found != entry.end() && found->is_number())
        options.factor = found->get<double>();
    compare(result, name, ops::interpolate({}, x, expected.dim(1), expected.dim(2), options), expected, 1e-6);
  }
  return result;
}

/// VaeImageProcessor in its mode "default"; without a size the picture's, rounded down to the model's factor.
Result run_processor(const Json& description, const Recorded& recorded) {
  Result result;
  for (const auto& entry : description.at("images")) {
    const auto& args = entry.at("args");
    if (args.contains("resize_mode")) continue;
    const auto number = std::to_string(entry.at("image").get<int>());
    const Image image = image_of(recorded.file().read<float>("in.image." + number));
    const Index factor = entry.at("processor").at("vae_scale_factor");
    const Index width = args.value("width", image.width() / factor * factor);
    const Index height = args.value("height", image.height() / factor * factor);
    const auto expected = recorded.tensor("out.tensor." + number);
    const bool is_mask = entry.value("mask", false);
    auto actual = is_mask ? mask_input(image, width, height) : picture_input(image, width, height);
    if (!is_mask && !entry.at("processor").value("do_normalize", true))
      actual = to_unit_tensor(image.to_channels(3).resized(width, height));
    compare(result, "picture " + number, actual, expected, 0.0);
  }
  const auto pixels = recorded.file().read<float>("out.eight_bits");
  compare(result, "eight bits", values_of(to_image(recorded.tensor("in.decoded")), pixels.shape()), pixels,
          0.0);
  return result;
}

/// CLIPImageProcessor; the last picture of a case may have a target of its own.
Result run_clip_processor(const fs::path& folder, const Json& description, const Recorded& recorded) {
  const auto processor = read_clip_image_processor(Config::load(folder / "config.json"));
  Result result;
  for (const auto& entry : description.at("images")) {
    auto own = processor;
    own.shortest_edge = own.crop_height = own.crop_width = entry.at("target").get<Index>();
    const auto number = std::to_string(entry.at("image").get<int>());
    const Image image = image_of(recorded.file().read<float>("in.image." + number));
    compare(result, "picture " + number, own(image), recorded.tensor("out.pixel_values." + number), 0.0);
    if (!recorded.has("mid.cropped." + number)) continue;
    const auto cropped = recorded.file().read<float>("mid.cropped." + number);
    compare(result, "cropped " + number, values_of(own.prepared(image), cropped.shape()), cropped, 0.0);
  }
  for (const auto& run : recorded_runs(folder)) {
    if (run.label().empty()) continue;
    std::ifstream file(folder / ("case_" + run.label().substr(1) + ".json"));
    const auto changes = Json::parse(file).at(run.label().substr(1));
    const auto own = read_clip_image_processor(Config::load(folder / "config.json").with(changes.dump()));
    compare(result, run.label(), own(image_of(run.file().read<float>("in.image"))),
            run.tensor("out.pixel_values"), 0.0);
  }
  return result;
}

}  // namespace

std::optional<Result> run_image_processor(const fs::path& folder, const Config& config) {
  if (config.get("image_processor_type", "") != std::string("CLIPImageProcessor")) return std::nullopt;
  std::ifstream file(folder / "case.json");
  return run_clip_processor(folder, Json::parse(file), Recorded(folder / "io.safetensors"));
}

std::optional<Result> run_pictures(const fs::path& folder) {
  std::ifstream file(folder / "case.json");
  const auto description = Json::parse(file);
  const auto lists = [&](const char* list, const char* key) {
    const auto found = description.find(list);
    return found != description.end() && found->is_array() && !found->empty() && found->front().contains(key);
  };
  const Recorded recorded(folder / "io.safetensors");
  if (lists("files", "load_image_is")) return run_files(folder, description, recorded);
  if (lists("images", "processor")) return run_processor(description, recorded);
  if (lists("cases", "filter") && lists("cases", "source")) return run_resizing(description, recorded);
  if (lists("cases", "mode") && lists("cases", "antialias")) return run_interpolation(description, recorded);
  return std::nullopt;
}

}  // namespace daguerre::conformance
