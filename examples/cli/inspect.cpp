#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <daguerre/daguerre.hpp>
#include <daguerre/media/film.hpp>
#include <daguerre/weights/checkpoint.hpp>
#include <daguerre/weights/inspect.hpp>

#include "commands.hpp"
#include "order.hpp"
#include "text.hpp"

namespace daguerre::cli {
namespace {

using weights::ComponentDescription;
using weights::ModelDescription;
using Json = nlohmann::ordered_json;

struct InspectRequest {
  std::string path;
  bool tensors = false;
  bool raw = false;
  bool json = false;
  weights::SafetensorsOptions options;
};

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void print_json(const Json& json) {
  print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

/// Whether a file is a film or a picture, by what it begins with or, where that is nothing known, by its
/// name; or a folder one of a PNG sequence.
bool is_film(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::is_directory(path, error)) return fs::exists(fs::path(path) / "00000.png", error);
  if (!fs::exists(path, error)) return false;
  if (!film_format(path).empty()) return true;
  auto extension = fs::path(path).extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto has_it = [&](const FilmFormat& format) {
    return (std::string(format.extensions) + " ").find(extension + " ") != std::string::npos;
  };
  return !extension.empty() && std::ranges::any_of(film_formats(), has_it);
}

void print_settings(const Infotext& text) {
  print("Prompt: " + printable(text.prompt, true) + "\n");
  if (!text.negative_prompt.empty())
    print("Negative prompt: " + printable(text.negative_prompt, true) + "\n");
  for (const auto& [name, value] : text.parameters)
    print(printable(name) + ": " + printable(value, true) + "\n");
}

Json to_json(const Infotext& text) {
  Json parameters = Json::object();
  for (const auto& [name, value] : text.parameters) parameters[name] = value;
  return {{"prompt", text.prompt}, {"negative_prompt", text.negative_prompt}, {"parameters", parameters}};
}

/// A PNG picture's own text; a malformed one is an error here.
std::string settings_of(const std::string& path, const FilmInfo& info) {
  if (info.format != "PNG") return info.text;
  for (const auto& [keyword, text] : read_png_text(path))
    if (keyword == "parameters") return text;
  return "";
}

void inspect_film(const InspectRequest& request) {
  FilmReader film(request.path);
  const auto& info = film.info();
  const auto frames = film.count_rest();  // so that what is cut short is told
  const auto settings = settings_of(request.path, info);
  const bool is_picture = frames == 1;
  const bool is_read =
      info.format == "PNG" || info.format == "GIF" ||
      std::ranges::find(picture_formats(), info.format, &PictureFormat::name) == picture_formats().end();
  const std::string none = is_picture && !is_read
                               ? "settings in " + std::string(info.format) + " pictures are not read"
                               : "there are no settings in it";
  if (request.raw) {
    if (settings.empty()) throw FormatError("inspect", request.path + ": " + none);
    return print(settings + "\n");
  }
  const auto text = parse_infotext(settings);
  if (request.json) {
    Json json{{"format", info.format}, {"width", info.width}, {"height", info.height}};
    if (!is_picture)
      json.update({{"frames", frames ? Json(*frames) : Json()}, {"frame_rate", info.frame_rate}});
    if (!settings.empty()) json.update(to_json(text));
    return print_json(json);
  }
  char rate[32] = {};
  std::snprintf(rate, sizeof rate, "%.4g", info.frame_rate);
  print(printable(request.path) + ": " + std::string(info.format) + ", " + std::to_string(info.width) +
        " x " + std::to_string(info.height) +
        (is_picture || !frames ? "" : ", " + std::to_string(*frames) + " frames") +
        (!is_picture && info.frame_rate > 0.0 ? ", " + std::string(rate) + " a second" : "") + "\n");
  if (settings.empty()) return print(none + "\n");
  print_settings(text);
}

std::string dtypes(const std::map<weights::DType, std::size_t>& counts) {
  std::string result;
  for (const auto& [dtype, count] : counts) {
    if (!result.empty()) result += ", ";
    result += weights::name(dtype);
    if (counts.size() > 1) result += " (" + grouped(static_cast<std::int64_t>(count)) + ")";
  }
  return result;
}
std::string dtypes(const ComponentDescription& component) {
  return dtypes(component.dtype_counts);
}

std::string class_of(const ComponentDescription& component) {
  return printable(component.class_name) + (component.class_guessed ? " (by its tensors)" : "");
}

void print_tensors(const ComponentDescription& component) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& info : component.tensors)
    rows.push_back({printable(info.name), std::string(weights::name(info.dtype)), to_string(info.shape)});
  print(table(rows, {false, false, false}));
}

void print_component(const ComponentDescription& component) {
  print(printable(component.path.string()) + ": " + class_of(component) + "\n");
  if (component.files.size() > 1)
    for (const auto& file : component.files) print("  " + printable(file) + "\n");
  print(grouped(static_cast<std::int64_t>(component.tensors.size())) + " tensors, " +
        grouped(component.parameters) + " parameters, " + byte_count(component.bytes) +
        (component.tensors.empty() ? "" : ", ") + dtypes(component) + "\n");
  print_tensors(component);
}

void print_model(const ModelDescription& model, bool with_tensors) {
  print(printable(model.path.string()) + ": " + printable(model.class_name) + "\n");
  std::vector<std::vector<std::string>> rows{
      {"component", "class", "tensors", "parameters", "size", "dtypes"}};
  for (const auto& component : model.components) {
    rows.push_back({printable(component.name), class_of(component)});
    if (!component.problem.empty())
      rows.back().insert(rows.back().end(), {"", "", "", "cannot be read"});
    else if (!component.tensors.empty())
      rows.back().insert(rows.back().end(),
                         {grouped(static_cast<std::int64_t>(component.tensors.size())),
                          grouped(component.parameters), byte_count(component.bytes), dtypes(component)});
  }
  print(table(rows, {false, false, true, true, true, false}));
  if (!with_tensors) return;
  for (const auto& component : model.components) {
    if (component.tensors.empty()) continue;
    print("\n" + printable(component.name) + "\n");
    print_tensors(component);
  }
}

// ---- what a file is

/// What a part's tensors come to.
struct PartSize {
  std::map<weights::DType, std::size_t> dtype_counts;
  std::int64_t tensors = 0, parameters = 0;
  std::uint64_t bytes = 0;
};

PartSize size_of(const weights::CheckpointPart& part) {
  PartSize size;
  for (const auto& name : part.weights.names()) {
    const auto* info = part.weights.find(name);
    ++size.tensors;
    ++size.dtype_counts[info->dtype];
    size.parameters += info->shape.size();
    size.bytes += info->end - info->begin;
  }
  return size;
}

/// Nothing for a file of something else, such as latents; `why` tells what is known.
std::optional<weights::Checkpoint> recognised(const InspectRequest& request, std::string& why) {
  try {
    weights::CheckpointOptions options;
    options.file = request.options;
    auto checkpoint = weights::open_checkpoint(request.path, options);
    if (!checkpoint.family.empty()) return checkpoint;
  } catch (const ConfigError& error) {
    why = error.what();
  } catch (const WeightError& error) {
    why = error.what();
  }
  return std::nullopt;
}

/// What has to be added before pictures can be made.
std::string what_is_missing(const weights::Checkpoint& model) {
  if (model.pipeline_class.empty()) return "it is no model that makes pictures";
  std::string parts;
  for (const auto& part : weights::missing_in_words(model)) parts += (parts.empty() ? "" : "; ") + part;
  std::string text = parts.empty() ? "" : "to make a picture it lacks: " + parts;
  if (!model.folder.empty()) return text;
  const auto needs = [&](bool t5) {
    return std::any_of(model.tokenizers.begin(), model.tokenizers.end(), [&](const auto& tokenizer) {
      return tokenizer.class_name.starts_with("T5") == t5 && tokenizer.vocabulary.empty();
    });
  };
  std::string files = needs(false) ? "vocab.json and merges.txt, or bpe_simple_vocab_16e6.txt.gz" : "";
  if (needs(true)) files += std::string(files.empty() ? "" : ", and ") + "spiece.model";
  if (files.empty()) return text;
  text += text.empty() ? "to make a picture it needs" : "; it needs";
  return text + " a tokenizer: " + files + ", beside it or in a folder \"tokenizer\" there";
}

void print_recognised(const weights::Checkpoint& model) {
  print(printable(model.source) + ": " + model.title + " (" + model.family + ")\n");
  if (!model.parts.empty()) {
    std::vector<std::vector<std::string>> rows{
        {"component", "class", "tensors", "parameters", "size", "dtypes"}};
    for (const auto& part : model.parts) {
      const auto size = size_of(part);
      rows.push_back({part.name, part.class_name, grouped(size.tensors), grouped(size.parameters),
                      byte_count(size.bytes), dtypes(size.dtype_counts)});
    }
    print(table(rows, {false, false, true, true, true, false}));
  }
  if (!model.unknown.empty())
    print(grouped(static_cast<std::int64_t>(model.unknown.size())) + " tensors belong to none of these, as " +
          printable(model.unknown.front()) + "\n");
  if (const auto missing = what_is_missing(model); !missing.empty()) print(missing + "\n");
}

void add_recognised(const weights::Checkpoint& model, Json& json) {
  json["family"] = model.family;
  json["title"] = model.title;
  json["pipeline"] = model.pipeline_class;
  json["parts"] = Json::array();
  for (const auto& part : model.parts) {
    const auto size = size_of(part);
    json["parts"].push_back({{"name", part.name},
                             {"class", part.class_name},
                             {"tensor_count", size.tensors},
                             {"parameters", size.parameters},
                             {"bytes", size.bytes}});
  }
  json["missing"] = model.missing;
  json["tokenizers"] = Json::array();
  if (model.folder.empty())
    for (const auto& tokenizer : model.tokenizers) json["tokenizers"].push_back(tokenizer.name);
  json["unknown"] = model.unknown;
}

std::string_view name(ModelDescription::Kind kind) {
  switch (kind) {
    case ModelDescription::Kind::safetensors_file:
      return "safetensors file";
    case ModelDescription::Kind::gguf_file:
      return "GGUF file";
    case ModelDescription::Kind::sharded_index:
      return "sharded index";
    case ModelDescription::Kind::component_folder:
      return "component folder";
    case ModelDescription::Kind::model_folder:
      return "model folder";
  }
  return "unknown";
}

Json to_json(const ComponentDescription& component, bool with_tensors) {
  Json counts = Json::object();
  for (const auto& [dtype, count] : component.dtype_counts) counts[std::string(weights::name(dtype))] = count;
  Json result{{"name", component.name},
              {"path", component.path.string()},
              {"class", component.class_name},
              {"class_guessed", component.class_guessed},
              {"files", component.files},
              {"tensor_count", component.tensors.size()},
              {"parameters", component.parameters},
              {"bytes", component.bytes},
              {"dtypes", counts}};
  if (!component.problem.empty()) result["problem"] = component.problem;
  if (!with_tensors) return result;
  result["tensors"] = Json::array();
  for (const auto& info : component.tensors)
    result["tensors"].push_back({{"name", info.name},
                                 {"dtype", weights::name(info.dtype)},
                                 {"shape", std::vector<Index>(info.shape.begin(), info.shape.end())}});
  return result;
}

void inspect_weights(const InspectRequest& request) {
  const auto model = weights::inspect(request.path, request.options);
  const bool is_folder = model.kind == ModelDescription::Kind::model_folder;
  std::string why;
  const auto found = is_folder ? std::nullopt : recognised(request, why);
  // The tensors of a whole model fill a thousand lines.
  const bool list = request.tensors || (!is_folder && !(found && !found->pipeline_class.empty()));
  if (request.json) {
    Json components = Json::array();
    for (const auto& component : model.components) components.push_back(to_json(component, list));
    Json json{{"path", model.path.string()},
              {"kind", name(model.kind)},
              {"class", is_folder ? model.class_name : model.components.front().class_name},
              {"components", components}};
    if (found) add_recognised(*found, json);
    print_json(json);
  } else if (is_folder) {
    print_model(model, request.tensors);
  } else if (found) {
    print_recognised(*found);
    if (list) print_tensors(model.components.front());
  } else {
    print_component(model.components.front());
    if (!why.empty()) print(printable(why) + "\n");
  }
  for (const auto& component : model.components)
    if (!component.problem.empty()) throw FormatError("inspect", component.name + ": " + component.problem);
}

void run(const InspectRequest& request) {
  if (is_film(request.path)) return inspect_film(request);
  if (request.raw) throw CLI::ValidationError("--raw", request.path + " is no picture or film");
  inspect_weights(request);
}

}  // namespace

void add_inspect(CLI::App& parent) {
  auto* app = parent.add_subcommand(
      "inspect",
      "Tell what is in a model folder, a weight file, a picture or a film: of these size and settings, and "
      "whether they are whole");
  app->footer(
      "Examples:\n"
      "  daguerre inspect models/stable-diffusion-v1-5\n"
      "  daguerre inspect models/stable-diffusion-v1-5/unet --json\n"
      "  daguerre inspect sd_xl_base_1.0.safetensors\n"
      "  daguerre inspect lighthouse.png\n"
      "  daguerre inspect fox.mp4");
  const auto request = std::make_shared<InspectRequest>();
  app->add_option("path", request->path,
                  "Model folder, component folder, .safetensors or .gguf file, .safetensors.index.json, a "
                  "picture, or a film")
      ->check(file_name())
      ->type_name("PATH")
      ->required();
  app->add_flag("--tensors", request->tensors, "List the tensors of a model too, not only of single parts");
  app->add_flag("--json", request->json, "For programs to read");
  app->add_flag("--raw", request->raw,
                "The settings of a picture or film as they stand; an error where there are none");
  app->add_flag("--allow-trailing-bytes", request->options.allow_trailing_bytes,
                "Accept weight files with bytes behind their last tensor");
  app->callback([request] { run(*request); });
}

}  // namespace daguerre::cli
