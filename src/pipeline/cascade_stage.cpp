#include "daguerre/pipeline/cascade_stage.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include <nlohmann/json.hpp>

#include "core/attempt.hpp"
#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/config/config.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "pipeline/cascade_name.hpp"
#include "pipeline/infotext_names.hpp"
#include "pipeline/plan.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

constexpr const char* cascade_file_name = "cascade.json";
constexpr int cascade_version = 1;
constexpr std::size_t most_stages = 16;

/// Of numbers; texts have no range.
struct OptionRange {
  double least = 0.0, most = 0.0;
};

/// Calls visit(name, member, range) for every option.
template <class Visit>
void each_stage_option(const Visit& visit) {
  constexpr double side = static_cast<double>(Image::max_side), most_int = 1e9;
  visit("steps", &StageOptions::steps, OptionRange{1, most_int});
  visit("guidance_scale", &StageOptions::guidance_scale, OptionRange{0, most_int});
  visit("sampler", &StageOptions::sampler, OptionRange{});
  visit("eta", &StageOptions::eta, OptionRange{0, 1});
  visit("strength", &StageOptions::strength, OptionRange{0, 1});
  visit("noise_level", &StageOptions::noise_level, OptionRange{0, most_int});
  visit("scale", &StageOptions::scale, OptionRange{0.01, 64});
  visit("width", &StageOptions::width, OptionRange{1, side});
  visit("height", &StageOptions::height, OptionRange{1, side});
  visit("prompt", &StageOptions::prompt, OptionRange{});
  visit("negative_prompt", &StageOptions::negative_prompt, OptionRange{});
  visit("seed_offset", &StageOptions::seed_offset, OptionRange{0, most_int});
  visit("tile", &StageOptions::tile, OptionRange{0, side});
  visit("tile_overlap", &StageOptions::tile_overlap, OptionRange{0, side});
}

template <class Number>
std::optional<Number> number_from(const std::string& text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// What is wrong with a number; empty: nothing.
std::string out_of_range(double value, const OptionRange& range) {
  if (value >= range.least && value <= range.most) return {};
  return "is " + number(value) + ", expected " + number(range.least) + " to " + number(range.most);
}

// Values as the file has them.
void read_option(const Config& config, const char* name, std::optional<std::string>& value) {
  value = config.optional_string(name);
}
template <class Number>
void read_option(const Config& config, const char* name, std::optional<Number>& value) {
  if constexpr (std::is_floating_point_v<Number>) {
    if (const auto read = config.optional_double(name)) value = static_cast<Number>(*read);
  } else {
    if (const auto read = config.optional_int(name)) {
      if (std::is_unsigned_v<Number> && *read < 0)
        throw ConfigError(
            cascade_name,
            config.source() + ": \"" + name + "\" is " + std::to_string(*read) + ", expected 0 or more",
            config.path());
      value = static_cast<Number>(*read);
    }
  }
}

/// A stage's path as the file means it.
fs::path path_in(const fs::path& folder, const std::string& path) {
  return (folder / path).lexically_normal();
}

CascadeStage read_stage(const Config& config, const fs::path& folder, const fs::path& file) {
  const auto refuse = [&](const std::string& what) {
    throw ConfigError(cascade_name, config.source() + ": " + what, file);
  };
  CascadeStage stage;
  const auto path = config.optional_string("path");
  if (!path || path->empty()) refuse("\"path\", the stage's model, is missing");
  stage.path = path_in(folder, *path);
  stage.name = config.optional_string("name").value_or("");
  if (const auto precision = config.optional_string("precision")) {
    try {
      stage.precision = precision_called(*precision);
    } catch (const ArgumentError& error) {
      refuse("\"precision\": " + error.message());
    }
  }
  if (const auto parts = config.json("parts")) {
    const auto all = nlohmann::json::parse(*parts);
    if (!all.is_object()) refuse("\"parts\" is a list, expected folders by the names of parts");
    for (const auto& [name, value] : all.items()) {
      if (!value.is_string()) refuse("\"parts\": " + in_quotes(name) + " is no path");
      stage.parts[name] = path_in(folder, value.get<std::string>());
    }
  }
  each_stage_option([&](const char* name, auto member, const OptionRange& range) {
    auto& value = stage.options.*member;
    read_option(config, name, value);
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(*value)>>)
      if (value)
        if (const auto wrong = out_of_range(static_cast<double>(*value), range); !wrong.empty())
          refuse("\"" + std::string(name) + "\" " + wrong);
  });
  if (stage.options.scale && (stage.options.width || stage.options.height))
    refuse("\"scale\" and a width or height are given: expected one of them");
  config.finish();
  return stage;
}

/// Numbers that no cascade could have written are as if they were not there.
void drop_out_of_range(StageOptions& options) {
  each_stage_option([&](const char*, auto member, const OptionRange& range) {
    auto& value = options.*member;
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(*value)>>)
      if (value && !out_of_range(static_cast<double>(*value), range).empty()) value.reset();
  });
}

}  // namespace

StageOptions StageOptions::over(const StageOptions& others) const {
  StageOptions result = *this;
  const bool sized = scale || width || height;
  each_stage_option([&](const char*, auto member, const OptionRange&) {
    if (!(result.*member)) result.*member = others.*member;
  });
  if (sized) result.scale = scale, result.width = width, result.height = height;
  return result;
}

void StageOptions::set(std::string_view name, const std::string& text) {
  std::string known;
  bool found = false;
  const auto refuse = [&](const std::string& what) {
    throw ArgumentError(cascade_name, "a stage's " + std::string(name) + " " + what);
  };
  each_stage_option([&](const char* each, auto member, const OptionRange& range) {
    known += (known.empty() ? "" : ", ") + std::string(each);
    if (name != each) return;
    found = true;
    auto& value = this->*member;
    using Value = std::remove_cvref_t<decltype(*value)>;
    if constexpr (std::is_arithmetic_v<Value>) {
      value = number_from<Value>(text);
      if (!value) refuse("is " + in_quotes(text) + ", expected a number");
      if (const auto wrong = out_of_range(static_cast<double>(*value), range); !wrong.empty()) refuse(wrong);
    } else {
      value = text;
    }
  });
  if (!found)
    throw ArgumentError(cascade_name, "a stage has no option " + in_quotes(name) + "; there are " + known);
}

CascadeDescription CascadeDescription::read(const fs::path& path) {
  const bool in_folder = is_folder(path);
  const auto file = in_folder ? path / cascade_file_name : path;
  if (in_folder && !path_exists(file))
    throw FileError(cascade_name,
                    path.string() + " has no " + cascade_file_name + ", which says what its stages are",
                    path);
  const auto config = Config::load(file);
  return naming(file, [&] {
    if (const int version = config.require_int("version"); version != cascade_version)
      throw ConfigError(cascade_name, config.source() + ": \"version\" is " + std::to_string(version) +
                                          ", expected " + std::to_string(cascade_version));
    CascadeDescription result;
    result.name = config.optional_string("name").value_or(model_name(fs::absolute(file).parent_path()));
    const auto stages = nlohmann::json::parse(config.json("stages").value_or("null"));
    if (!stages.is_array() || stages.empty() || stages.size() > most_stages)
      throw ConfigError(cascade_name, config.source() + ": \"stages\" must be a list of 1 to " +
                                          std::to_string(most_stages) + " stages");
    for (const auto& stage : stages) {
      const auto source = config.source() + ": stage " + std::to_string(result.stages.size() + 1);
      if (!stage.is_object()) throw ConfigError(cascade_name, source + " is no object");
      result.stages.push_back(read_stage(Config::parse(stage.dump(), source), file.parent_path(), file));
    }
    config.finish();
    return result;
  });
}

CascadeDescription CascadeDescription::of(const std::vector<fs::path>& paths) {
  CascadeDescription result;
  for (const auto& path : paths) {
    result.name += (result.name.empty() ? "" : " + ") + model_name(path);
    result.stages.push_back({.name = {}, .path = path, .parts = {}, .precision = {}, .options = {}});
  }
  return result;
}

std::vector<StageOptions> take_stage_options(Infotext& infotext) {
  std::vector<StageOptions> result;
  std::vector<std::pair<std::string, std::string>> others;
  const std::string prefix = "Stage ";
  const auto set = [](StageOptions& options, const std::string& key, const std::string& value) {
    if (key == "Steps") options.steps = number_from<int>(value);
    if (key == "CFG scale") options.guidance_scale = number_from<float>(value);
    if (key == "Sampler") options.sampler = sampler_called(value, {});
    if (key == "Eta DDIM") options.eta = number_from<double>(value);
    if (key == "Denoising strength") options.strength = number_from<double>(value);
    if (key == "Noise level") options.noise_level = number_from<int>(value);
    if (key == "Seed offset") options.seed_offset = number_from<std::uint64_t>(value);
    if (key == "Prompt") options.prompt = value;
    if (key == "Negative prompt") options.negative_prompt = value;
    if (key == "Tile size") options.tile = number_from<Index>(value);
    if (key == "Tile overlap") options.tile_overlap = number_from<Index>(value);
    if (const auto cross = value.find('x'); key == "Size" && cross != value.npos) {
      options.width = number_from<Index>(value.substr(0, cross));
      options.height = number_from<Index>(value.substr(cross + 1));
    }
  };
  for (auto& [key, value] : infotext.parameters) {
    const auto space = key.find(' ', prefix.size());
    std::size_t stage = 0;
    if (key.starts_with(prefix) && space != key.npos)
      stage = number_from<std::size_t>(key.substr(prefix.size(), space - prefix.size())).value_or(0);
    if (key == "Cascade") continue;
    if (stage < 2 || stage > most_stages) {
      others.emplace_back(std::move(key), std::move(value));
      continue;
    }
    if (result.size() < stage) result.resize(stage);
    set(result[stage - 1], key.substr(space + 1), value);
  }
  for (auto& options : result) drop_out_of_range(options);
  infotext.parameters = std::move(others);
  return result;
}

}  // namespace daguerre
