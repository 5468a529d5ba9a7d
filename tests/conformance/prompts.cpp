#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include "conformance/case.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/samplers/registry.hpp"
#include "daguerre/text/compel.hpp"
#include "daguerre/text/extra_networks.hpp"
#include "daguerre/text/prompt_schedule.hpp"
#include "daguerre/text/prompt_windows.hpp"
#include "pipeline/prompt_conditions.hpp"
#include "pipeline/prompt_encoder.hpp"

/// Prompt languages: how texts are read, and what text encoders make of them.
namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using text::WeightedText;

Json json_file(const fs::path& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

/// A number as the cases have it: what JSON cannot say is a string.
Json number_json(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

Json weighted_json(const std::vector<WeightedText>& parts) {
  auto result = Json::array();
  for (const auto& part : parts) result.push_back({part.text, number_json(part.weight)});
  return result;
}

Json fragments_json(const std::vector<text::CompelFragment>& fragments) {
  auto result = Json::array();
  for (const auto& fragment : fragments) {
    if (fragment.swap)
      result.push_back(
          {{"swap", {fragments_json(fragment.swap->original), fragments_json(fragment.swap->edited)}},
           {"options", fragment.swap->options}});
    else
      result.push_back({fragment.text, fragment.weight});
  }
  return result;
}

Json compel_json(const text::CompelPrompt& prompt) {
  Json result{
      {"type", "and"}, {"prompts", Json::array()}, {"weights", Json::array()}, {"loras", Json::array()}};
  for (const auto& part : prompt.parts) {
    auto prompts = Json::array();
    for (const auto& fragments : part.prompts)
      prompts.push_back({{"type", "prompt"}, {"fragments", fragments_json(fragments)}});
    result["prompts"].push_back(part.blends ? Json{{"type", "blend"},
                                                   {"prompts", prompts},
                                                   {"weights", part.weights},
                                                   {"normalize", part.normalize}}
                                            : prompts.front());
    result["weights"].push_back(part.weight);
  }
  for (const auto& [name, weight] : prompt.loras) result["loras"].push_back({name, weight});
  return result;
}

Json networks_json(const std::string& prompt) {
  const auto tagged = text::take_extra_networks(prompt);
  Json result{{"prompt", tagged.prompt}, {"networks", Json::object()}};
  for (const auto& network : tagged.networks) {
    result["networks"][network.kind].push_back(
        {{"positional", network.positional}, {"named", Json(network.named)}});
    if (network.kind != "lora") continue;
    try {
      const auto tag = text::lora_tag(network);
      result["lora"].push_back({{"name", tag.name},
                                {"te", tag.text_encoder},
                                {"unet", tag.denoiser},
                                {"dyn_dim", tag.dimension ? Json(*tag.dimension) : Json()}});
    } catch (const ArgumentError&) {
      result["lora_error"] = true;
    }
  }
  return result;
}

Json schedule_json(const Json& row) {
  text::ScheduleSteps steps{.steps = row.at("steps").get<int>(), .second_pass = {}, .old = row.at("old")};
  if (!row.at("hires_steps").is_null()) steps.second_pass = row.at("hires_steps").get<int>();
  const auto schedule = text::parse_a1111_schedule(row.at("text").get<std::string>(), steps);
  auto entries = Json::array();
  for (const auto& entry : schedule) entries.push_back({entry.until, entry.prompt});
  Json result{{"schedule", entries}};
  for (int step = 0; row.contains("entry_at_step") && step < steps.steps; ++step)
    result["entry_at_step"].push_back(text::scheduled_at(schedule, step));
  return result;
}

/// Equal sub-prompts are one, whichever of the texts they are in.
Json and_json(const Json& row) {
  Json prompts = Json::array(), parts = Json::array();
  for (const auto& prompt : row.at("texts")) {
    auto own = Json::array();
    for (const auto& joined : text::parse_a1111_and(prompt.get<std::string>())) {
      const auto found = std::find(prompts.begin(), prompts.end(), Json(joined.prompt));
      own.push_back({found - prompts.begin(), joined.weight});
      if (found == prompts.end()) prompts.push_back(joined.prompt);
    }
    parts.push_back(own);
  }
  return {{"prompts", prompts}, {"parts", parts}};
}

/// What a row of recorded texts should give, of the keys that `read` knows.
Json read_row(const std::string& function, const Json& row) {
  const auto prompt = row.value("text", std::string());
  if (function.starts_with("parse_prompt_attention"))
    return {{"parsed", weighted_json(text::parse_a1111_attention(prompt))}};
  if (function.starts_with("token_weights"))
    return {{"parsed", weighted_json(text::parse_comfyui_weights(prompt))}};
  if (function.starts_with("Compel")) return {{"parsed", compel_json(text::parse_compel(prompt))}};
  if (function.starts_with("get_learned_conditioning")) return schedule_json(row);
  if (function.starts_with("get_multicond")) return and_json(row);
  if (function.starts_with("extra_networks")) return networks_json(prompt);
  throw ConfigError("conformance", "function " + function);
}

/// Nothing where all rows are as recorded, else the first that is not.
Check check_rows(const std::string& function, const Json& rows) {
  double failed = 0.0;
  std::string first;
  for (const auto& row : rows) {
    Json found;
    try {
      found = read_row(function, row);
    } catch (const ArgumentError&) {
      found = {{"error", true}};
    }
    bool same = found.contains("error") == row.contains("error") &&
                found.contains("lora_error") == row.contains("lora_error");
    for (const auto& [key, value] : found.items())
      if (!key.ends_with("error")) same = same && row.contains(key) && row.at(key) == value;
    if (same) continue;
    ++failed;
    if (first.empty()) first = ": " + row.dump() + " gives " + found.dump();
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return {std::to_string(rows.size()) + " texts" + first, {failed, failed == 0.0 ? 0.0 : infinity}, 0.0};
}

Result run_guidance(const fs::path& folder, const Json& config) {
  const Recorded recorded(folder / "io.safetensors");
  const auto given = recorded.tensor("in.denoised"), expected = recorded.tensor("out.denoised");
  const auto images = config.at("conds_list");
  const auto one = [&](Index n) { return given.slice(n, n + 1); };
  const auto first_negative = given.dim(0) - static_cast<Index>(images.size());
  std::vector<Tensor<float>> results;
  for (const auto& image : images) {
    // Through the guider itself: the conditions are the numbers of the results that stand for them.
    const auto condition = [&](Index n) {
      Conditioning conditioning;
      conditioning.labels = {static_cast<std::int32_t>(n)};
      return conditioning;
    };
    Conditions conditions;
    conditions.negative = condition(first_negative + static_cast<Index>(results.size()));
    conditions.positive = condition(image.at(0).at(0).get<Index>());
    conditions.weight = image.at(0).at(1).get<float>();
    for (std::size_t i = 1; i < image.size(); ++i)
      conditions.others.push_back(
          {condition(image.at(i).at(0).get<Index>()), image.at(i).at(1).get<float>()});
    const ClassifierFreeGuidance guider({.scale = config.at("cond_scale").get<float>()});
    const auto run = guider.start(conditions);
    const Predict predict = [&](const Tensor<float>&, const Conditioning& conditioning) {
      std::vector<Tensor<float>> parts;
      for (const auto label : conditioning.labels) parts.push_back(one(label));
      return concat_leading<float>(parts);
    };
    results.push_back((*run)(predict, one(0), {}));
  }
  Result result;
  result.checks = {{"denoised", test::difference(concat_leading<float>(results), expected), bounds::block}};
  return result;
}

/// Text encoders and tokenizers of a folder that is no model.
Components encoders_of(const fs::path& folder, const Options& options) {
  Components components{
      .text_encoders = {}, .denoiser = {}, .autoencoder = {}, .index = Config::parse("{}", "none")};
  const LoadContext context{.compute = options.context(), .dialect = text::ClipDialect::openai};
  for (const std::string suffix : {"", "_2"}) {
    const auto name = "text_encoder" + suffix;
    if (!fs::exists(folder / name)) continue;
    const auto class_name =
        json_file(folder / name / "config.json").at("architectures").at(0).get<std::string>();
    const ComponentSource network{
        .name = name, .library = "transformers", .class_name = class_name, .folder = folder / name};
    const ComponentSource tokenizer{.name = "tokenizer" + suffix,
                                    .library = "transformers",
                                    .class_name = "CLIPTokenizer",
                                    .folder = folder / ("tokenizer" + suffix)};
    components.text_encoders.emplace(
        name, ComponentRegistry::standard().open_text_encoder(network, tokenizer, context).load(context));
  }
  return components;
}

/// Every text of a case through every encoder; the states side by side, the vector of the last.
struct Encoded {
  std::vector<Tensor<float>> states, pooled;
};

struct PromptCase {
  const Json& json;
  Prompting prompting;
  CompelOptions compel{};
  TextEncoder::Options options{};
};

Encoded encode_all(const ops::Context& context, const Components& components, const PromptCase& recorded,
                   const std::vector<std::string>& texts) {
  Encoded result;
  for (const auto& [name, encoder] : components.text_encoders) {
    const PromptEncoder reader(*encoder, name, recorded.prompting, components.text_encoders.size() > 1,
                               recorded.compel);
    const auto outputs = reader.encode(context, texts, recorded.options);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (result.states.size() <= i) {
        result.states.push_back(outputs[i].states);
        result.pooled.push_back(outputs[i].pooled);
      } else {
        result.states[i] = ops::concat_channels(context, result.states[i], outputs[i].states);
        result.pooled[i] = outputs[i].pooled;
      }
    }
  }
  return result;
}

/// Ids and weights of the windows against the recorded ones.
class WindowCheck {
 public:
  void compare(const std::vector<text::TokenWindow>& windows, const Json& ids_by_window,
               const Json& weights_by_window) {
    if (windows.size() != ids_by_window.size()) {
      ++failed_;
      return;
    }
    for (std::size_t i = 0; i < windows.size(); ++i) {
      auto ids = Json(windows[i].ids);
      auto expected = ids_by_window[i];
      for (const auto& vector : windows[i].vectors) {
        auto& id = expected.at(static_cast<std::size_t>(vector.position));
        if (id.is_string() && id == "vector") id = 0;
      }
      // The web UI's windows have the end of text for padding, whatever the encoder is given.
      const auto padding = static_cast<std::size_t>(windows[i].padding);
      for (std::size_t k = ids.size() - padding; k < ids.size(); ++k) ids[k] = expected[k] = 0;
      failed_ += ids != expected || Json(windows[i].weights) != weights_by_window[i];
    }
  }
  Check check(const std::string& name) const {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return {name, {static_cast<double>(failed_), failed_ == 0 ? 0.0 : infinity}, 0.0};
  }

 private:
  int failed_ = 0;
};

void check_a1111_windows(const Components& components, const PromptCase& recorded,
                         const std::vector<std::string>& texts, Result& result) {
  WindowCheck check;
  const auto& [name, encoder] = *components.text_encoders.begin();
  const PromptEncoder reader(*encoder, name, recorded.prompting, components.text_encoders.size() > 1);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Json ids = Json::array(), weights = Json::array();
    for (const auto& chunk : recorded.json.at("chunks").at(i)) {
      ids.push_back(chunk.at("tokens"));
      weights.push_back(chunk.at("multipliers"));
    }
    check.compare(reader.windows(texts[i]), ids, weights);
  }
  result.checks.push_back(check.check("windows"));
}

void check_comfyui_windows(const Components& components, const PromptCase& recorded, const std::string& text,
                           Result& result) {
  WindowCheck check;
  for (const auto& [name, encoder] : components.text_encoders) {
    const PromptEncoder reader(*encoder, name, recorded.prompting, components.text_encoders.size() > 1);
    Json ids = Json::array(), weights = Json::array();
    for (const auto& chunk : recorded.json.at("tokens").at(name.ends_with("_2") ? "g" : "l")) {
      ids.emplace_back();
      weights.emplace_back();
      for (const auto& pair : chunk) {
        ids.back().push_back(pair.at(0));
        weights.back().push_back(pair.at(1));
      }
    }
    check.compare(reader.windows(text), ids, weights);
  }
  result.checks.push_back(check.check("windows"));
}

PromptCase prompt_case(const Json& json, PromptSyntax syntax, bool two_encoders, const Recorded& recorded) {
  PromptCase result{.json = json, .prompting = {.syntax = syntax}};
  // The states before the last layer, without the norm behind it.
  if (two_encoders) result.options = {.skip = 1, .final_norm = false};
  const auto options = json.value("options", Json::object());
  if (syntax == PromptSyntax::a1111) {
    result.prompting.emphasis = emphasis(options.at("emphasis").get<std::string>());
    result.prompting.comma_backtrack = options.at("comma_padding_backtrack").get<int>();
    if (!two_encoders) result.options.skip = options.at("CLIP_stop_at_last_layers").get<int>() - 1;
  }
  if (json.contains("layer")) result.options = {.skip = -1 - json.at("layer").get<int>(), .final_norm = true};
  if (options.value("returned_embeddings_type", "") == "PENULTIMATE_HIDDEN_STATES_NORMALIZED")
    result.options = {.skip = 1, .final_norm = true};
  result.compel.truncates = options.value("truncate_long_prompts", true);
  result.compel.removes = options.value("downweight_mode", "MASK") == "REMOVE";
  const std::array<const char*, 4> modes{"SENTENCES", "PHRASES", "WORDS", "BRUTAL"};
  for (std::size_t i = 0; i < modes.size(); ++i)
    if (options.value("split_long_text_mode", "SENTENCES") == modes[i])
      result.compel.long_text = static_cast<text::LongText>(i);
  std::vector<std::string> names;
  if (json.contains("embeddings"))
    names = json.at("embeddings").get<std::vector<std::string>>();
  else if (syntax == PromptSyntax::comfyui)  // there they are named, and lie in a folder
    names = recorded.names_below("in.embedding.");
  for (const auto& name : names) {
    auto key = name;
    std::replace(key.begin(), key.end(), ' ', '_');
    std::map<std::string, Tensor<float>, std::less<>> vectors;
    vectors.emplace("", recorded.tensor("in.embedding." + key));
    result.prompting.embeddings.push_back(std::make_shared<const Embedding>(name, std::move(vectors)));
  }
  return result;
}

/// The states of edited prompts that AND joins, as they are used in a step.
void check_steps(const ops::Context& context, const Components& components, const PromptCase& recorded,
                 const Recorded& tensors, const std::string& name, Result& result) {
  const auto& json = recorded.json;
  const Prompt prompt{.text = json.at("texts").at(0).get<std::string>()};
  const auto edited = edited_prompts(prompt, Side::positive, recorded.prompting, json.at("steps").get<int>());
  std::vector<Encoded> encoded;
  for (const auto& part : edited) {
    std::vector<std::string> texts;
    for (const auto& entry : part.entries) texts.push_back(entry.prompt.text);
    encoded.push_back(encode_all(context, components, recorded, texts));
  }
  for (const auto& step : json.at("recorded_steps")) {
    std::vector<Conditioning> now(edited.size());
    for (std::size_t i = 0; i < edited.size(); ++i)
      now[i].context = encoded[i].states[edited[i].at(step.get<int>())];
    fill_up_contexts(context, now);
    const auto both = joined(now).context;
    const auto key = "out." + name + ".step" + step.dump();
    result.checks.push_back({key, test::difference(both, tensors.tensor(key)), bounds::text_encoder});
  }
}

Result run_prompt_case(const ops::Context& context, const Components& components, const PromptCase& recorded,
                       const Recorded& tensors) {
  const auto& json = recorded.json;
  const auto name = json.at("name").get<std::string>();
  Result result;
  if (json.contains("recorded_steps")) {
    check_steps(context, components, recorded, tensors, name, result);
    return result;
  }
  std::vector<std::string> texts;
  if (json.contains("texts"))
    texts = json.at("texts").get<std::vector<std::string>>();
  else
    texts = {json.at("text").get<std::string>()};
  if (json.contains("chunks")) check_a1111_windows(components, recorded, texts, result);
  if (json.contains("tokens")) check_comfyui_windows(components, recorded, texts[0], result);
  const auto encoded = encode_all(context, components, recorded, texts);
  const auto compare = [&](const std::string& what, const std::vector<Tensor<float>>& actual) {
    const auto key = "out." + name + "." + what;
    if (tensors.has(key))
      result.checks.push_back(
          {key, test::difference(concat_leading<float>(actual), tensors.tensor(key)), bounds::text_encoder});
  };
  if (json.contains("error")) {  // what the reference cannot, and this does
    result.checks.push_back({"is read", {0.0, 0.0}, 0.0});
    return result;
  }
  compare("embeds", encoded.states);
  compare("pooled", encoded.pooled);
  return result;
}

}  // namespace

bool is_prompt_case(const fs::path& folder) {
  if (fs::exists(folder / "case.json") && fs::exists(folder / "cases.json"))
    return json_file(folder / "case.json").contains("function");
  if (fs::exists(folder / "case.json") && fs::exists(folder / "io.safetensors")) {
    const auto config = json_file(folder / "case.json");
    return config.contains("conds_list") || config.contains("embeddings");
  }
  return fs::exists(folder / "tokenizer") && fs::exists(folder / "text_encoder") &&
         fs::exists(folder / "a1111.json");
}

namespace {

/// A picture from recorded noise, by prompts that name textual inversions.
void check_picture(const Model& model, const Json& config, const Recorded& recorded,
                   const Prompting& prompting, const Options& options, Result& result) {
  constexpr double pipeline_bound = 1e-4;
  const auto& arguments = config.at("args");
  Task task;
  task.prompting = prompting;
  task.prompts = {
      {.text = arguments.at("prompt"), .negative = arguments.at("negative_prompt").get<std::string>()}};
  task.height = arguments.at("height").get<Index>();
  task.width = arguments.at("width").get<Index>();
  task.steps = arguments.at("num_inference_steps").get<int>();
  task.guidance.scale = arguments.at("guidance_scale").get<float>();
  task.latents = recorded.tensor("in.latents");
  task.sampler = samplers::SamplerRegistry::standard().make(
      Config::parse(config.at("scheduler").dump(), "case_txt2img"));
  const std::vector<std::uint64_t> seeds{0};
  SeededNoise noise("torch-cpu", seeds);
  const auto made = model.run(options.context(), task, noise);
  result.checks.push_back(
      {"out.latents", test::difference(made.latents, recorded.tensor("out.latents")), pipeline_bound});
  result.checks.push_back(
      {"out.image", test::difference(denormalise(made.decoded), recorded.file().read<float>("out.image")),
       pipeline_bound});
}

/// diffusers' textual inversions: files, prompts, and what the pipeline's own encoders make of them.
Result run_textual_inversion(const fs::path& folder, const Json& config, const Options& options) {
  const auto base = folder / json_file(folder / "base.json").at("base").get<std::string>();
  const auto model = Model::load(ModelSource::open_folder(base),
                                 {.compute = options.context(), .dialect = text::ClipDialect::openai});
  const Recorded recorded(folder / "io.safetensors");
  Prompting prompting;
  for (const auto& entry : config.at("embeddings"))
    prompting.embeddings.push_back(
        Embedding::load(folder / entry.at("file").get<std::string>(), entry.at("token").get<std::string>()));
  const auto sampler =
      samplers::SamplerRegistry::standard().make(Config::load(base / "scheduler" / "scheduler_config.json"));
  Result result;
  const auto& encoders = model.components().text_encoders;
  int number = 0;
  for (const auto& row : config.at("cases")) {
    Task task;
    task.prompting = prompting;
    task.prompts = {{.text = row.at("prompt"), .negative = row.at("negative_prompt").get<std::string>()}};
    task.height = model.default_size()[0];
    task.width = model.default_size()[1];
    task.sampler = sampler;
    const auto conditions = model.condition(options.context(), task, *model.guider(task)).front();
    const auto suffix = "." + std::to_string(number++);
    const auto compare = [&](const std::string& name, const Tensor<float>& actual) {
      if (recorded.has(name + suffix))
        result.checks.push_back(
            {name + suffix, test::difference(actual, recorded.tensor(name + suffix)), bounds::text_encoder});
    };
    compare("out.prompt_embeds", conditions.positive.context);
    compare("out.negative_prompt_embeds", conditions.negative->context);
    compare("out.pooled_prompt_embeds", conditions.positive.pooled);
    compare("out.negative_pooled_prompt_embeds", conditions.negative->pooled);
    for (const auto& [part, encoder] : encoders) {
      const PromptEncoder reader(*encoder, part, prompting, encoders.size() > 1);
      for (const std::string side : {"prompt", "negative_prompt"}) {
        const auto window = reader.windows(row.at(side).get<std::string>()).front();
        const auto name = "in." + side + "_ids" + (part.ends_with("_2") ? "_2" : "") + suffix;
        const auto expected = recorded.file().read<std::int32_t>(name);
        const bool same =
            std::equal(window.ids.begin(), window.ids.end(), expected.span().begin(), expected.span().end());
        constexpr double infinity = std::numeric_limits<double>::infinity();
        result.checks.push_back({name, {0.0, same ? 0.0 : infinity}, 0.0});
      }
    }
  }
  if (fs::exists(folder / "case_txt2img.json"))
    check_picture(model, json_file(folder / "case_txt2img.json"), Recorded(folder / "io_txt2img.safetensors"),
                  prompting, options, result);
  return result;
}

}  // namespace

std::vector<std::pair<std::string, std::function<Result()>>> prompt_runs(const fs::path& folder,
                                                                         const Options& options) {
  if (options.precision != Precision::float32) return {};
  std::vector<std::pair<std::string, std::function<Result()>>> runs;
  if (fs::exists(folder / "case.json")) {
    const auto config = json_file(folder / "case.json");
    if (config.contains("conds_list")) return {{"", [=] { return run_guidance(folder, config); }}};
    if (config.contains("embeddings"))
      return {{"", [=] { return run_textual_inversion(folder, config, options); }}};
    return {{"", [=] {
               Result result;
               result.checks = {
                   check_rows(config.at("function").get<std::string>(), json_file(folder / "cases.json"))};
               return result;
             }}};
  }
  const auto components = std::make_shared<const Components>(encoders_of(folder, options));
  for (const auto syntax : {PromptSyntax::a1111, PromptSyntax::comfyui, PromptSyntax::compel}) {
    const std::string engine(name_of(syntax));
    if (!fs::exists(folder / (engine + ".json"))) continue;
    const auto cases = json_file(folder / (engine + ".json")).at("cases");
    const auto tensors = std::make_shared<const Recorded>(folder / (engine + ".safetensors"));
    for (const auto& json : cases)
      runs.emplace_back(":" + engine + "/" + json.at("name").get<std::string>(), [=] {
        const bool two = components->text_encoders.size() > 1;
        return run_prompt_case(options.context(), *components, prompt_case(json, syntax, two, *tensors),
                               *tensors);
      });
  }
  return runs;
}

}  // namespace daguerre::conformance
