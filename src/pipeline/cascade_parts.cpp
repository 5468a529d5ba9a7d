#include "pipeline/cascade_parts.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/models/upscalers/rrdbnet.hpp"
#include "daguerre/models/upscalers/srvgg.hpp"
#include "daguerre/pipeline/family.hpp"
#include "daguerre/weights/state_dict.hpp"
#include "pipeline/cascade_name.hpp"
#include "pipeline/plan.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

bool is_upscaler(const fs::path& path, const LoadOptions& load) {
  if (!is_file(path) || path.extension() != ".safetensors") return false;
  const auto weights =
      weights::StateDict::load(path, {.allow_trailing_bytes = load.allow_trailing_bytes, .threads = {}});
  return models::is_rrdbnet(weights) || models::is_srvgg(weights);
}

/// The model with the parts that the stage takes from elsewhere.
ModelSource source_of(const CascadeStage& stage, const LoadOptions& load) {
  auto options = load.source ? *load.source : SourceOptions();
  options.allow_trailing_bytes = options.allow_trailing_bytes || load.allow_trailing_bytes;
  auto source = ModelSource::open(stage.path, options);
  for (const auto& [name, folder] : stage.parts) {
    auto part = source.part(name);
    if (!is_folder(folder))
      throw FileError(
          cascade_name,
          "the part " + in_quotes(name) + " shall come from " + folder.string() + ", which is no folder",
          folder);
    part.folder = folder;
    part.in_root = false;
    source = source.with(std::move(part));
  }
  return source;
}

std::string size_of_picture(Extent size) {
  return std::to_string(size[1]) + "x" + std::to_string(size[0]);
}

}  // namespace

void rethrow_in_stage(const std::string& label) {
  try {
    throw;
  } catch (const Cancelled&) {
    throw;
  } catch (const Error& error) {
    const auto what = label + ": " + error.message();
    const auto who = error.who();
    if (dynamic_cast<const FileError*>(&error)) throw FileError(who, what, error.path());
    if (dynamic_cast<const FormatError*>(&error)) throw FormatError(who, what, error.path());
    if (dynamic_cast<const ConfigError*>(&error)) throw ConfigError(who, what, error.path());
    if (dynamic_cast<const WeightError*>(&error)) throw WeightError(who, what, error.path());
    if (dynamic_cast<const ArgumentError*>(&error)) throw ArgumentError(who, what, error.path());
    if (dynamic_cast<const NumericError*>(&error)) throw NumericError(who, what, error.path());
    throw;
  }
}

StageSource StageSource::look(const CascadeStage& stage, std::string label, const LoadOptions& load) {
  StageSource result{.stage = stage,
                     .label = std::move(label),
                     .source = {},
                     .what = "upscaler",
                     .title = "an upscaler",
                     .load = load};
  if (result.stage.name.empty()) result.stage.name = model_name(stage.path);
  if (stage.precision) result.load.precision = *stage.precision;
  if (is_upscaler(stage.path, load)) {
    if (!stage.parts.empty()) throw ConfigError(cascade_name, "an upscaler has no parts");
    return result;
  }
  result.source = source_of(stage, load);
  const auto families = load.families ? *load.families : FamilyRegistry::standard();
  const auto& family = families.of_class(result.source->class_name(), result.source->index().source());
  result.what = result.source->class_name();
  result.title = family.title;
  result.enlarges = daguerre::enlarges(family.tasks.joins);
  result.takes_picture = family.tasks.image || family.tasks.references || result.enlarges ||
                         is_made_from_picture(family.tasks.joins);
  result.usual_steps = family.defaults.steps;
  return result;
}

LoadedStage StageSource::loaded(std::stop_token stop) const {
  auto own = load;
  own.stop = std::move(stop);
  if (source) return {Pipeline::load(*source, own), {}};
  const bool is_int8 = own.precision == Precision::int8;  // of denoisers alone
  return {{},
          Upscaler::load(stage.path, {.engine = own.engine,
                                      .precision = is_int8 ? Precision::automatic : own.precision,
                                      .threads = own.threads,
                                      .log = own.log,
                                      .stop = own.stop})};
}

void check_sizes_follow(const StageSource& stage, Extent from, Extent to) {
  const auto refuse = [&](const std::string& why) {
    throw ArgumentError(cascade_name, "the sizes do not follow each other: pictures of " +
                                          size_of_picture(from) + " come in, " + size_of_picture(to) +
                                          " shall come out; " + why);
  };
  if (stage.enlarges && (to[0] < from[0] || to[1] < from[1]))
    refuse(stage.title + " makes pictures larger, not smaller");
  const auto proportional = static_cast<double>(to[0] * from[1]) / static_cast<double>(from[0]);
  const auto width = static_cast<double>(to[1]);
  constexpr double rounding = 16.0, part = 0.05;
  if (std::abs(width - proportional) > std::max(rounding, part * width))
    refuse("their proportions are others");
}

std::optional<Extent> wanted_size(const StageSource& stage, const StageOptions& options,
                                  std::optional<Extent> from) {
  if (options.width && options.height) {
    const Extent to{*options.height, *options.width};
    if (from) check_sizes_follow(stage, *from, to);
    return to;
  }
  if (!from || !(options.width || options.height || options.scale)) return std::nullopt;
  const auto [height, width] = *from;
  const double scale = options.scale   ? *options.scale
                       : options.width ? static_cast<double>(*options.width) / static_cast<double>(width)
                                       : static_cast<double>(*options.height) / static_cast<double>(height);
  const auto scaled = [&](Index side) {
    const double exact = static_cast<double>(side) * scale, whole = std::round(exact);
    if (options.scale && std::abs(exact - whole) > 1e-6)
      throw ArgumentError(cascade_name, "the sizes do not follow each other: " + number(scale) + " times " +
                                            std::to_string(side) + " pixels are no whole pixels");
    return std::max<Index>(1, static_cast<Index>(whole));
  };
  const Extent to{options.height.value_or(scaled(height)), options.width.value_or(scaled(width))};
  check_sizes_follow(stage, *from, to);
  return to;
}

}  // namespace daguerre
