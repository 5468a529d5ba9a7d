#include "daguerre/text/chat_template.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "core/paths.hpp"
#include "daguerre/core/error.hpp"
#include "text/jinja/evaluator.hpp"
#include "text/jinja/lexer.hpp"
#include "text/tokenizer_config.hpp"

namespace daguerre::text {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr const char* template_name = "chat_template";
/// How deeply a template's expressions and statements may be nested.
constexpr int most_template_depth = 150;

jinja::Value template_value(const OrderedJson& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    return json.get<double>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    jinja::List items;
    for (const auto& item : json) items.push_back(template_value(item));
    return items;
  }
  if (json.is_object()) {
    jinja::Dict items;
    for (const auto& [key, item] : json.items()) items.emplace_back(key, template_value(item));
    return items;
  }
  return {};
}

/// JSON with the order of its keys, once it is known to be well formed and flat enough.
OrderedJson ordered_json(std::string_view text, const char* what) {
  (void)parse_json(text, what);
  auto result = OrderedJson::parse(text, nullptr, false);
  if (result.is_discarded())
    throw FormatError(template_name, std::string(what) + ": numbers that are not finite");
  return result;
}

std::tm local_time() {
  const std::time_t seconds = std::time(nullptr);
  std::tm result{};
  localtime_r(&seconds, &result);
  return result;
}

/// The text of "chat_template": one, or that called "default" of several with names.
std::optional<std::string> template_in(const nlohmann::json& config, const std::string& source) {
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_array())
    for (const auto& entry : *found)
      if (entry.is_object() && entry.value("name", nlohmann::json()) == "default" &&
          entry.contains("template") && entry["template"].is_string())
        return entry["template"].get<std::string>();
  throw FormatError(template_name,
                    source + ": \"chat_template\" is neither a text nor a list with one called \"default\"");
}

}  // namespace

struct ChatTemplate::State {
  std::string name;
  std::map<std::string, std::string> tokens;
  ChatTemplateLimits limits;
  jinja::Body body;

  std::string render(jinja::Value messages, const Options& options) const;
};

ChatTemplate::ChatTemplate(std::string_view source, std::string name,
                           std::map<std::string, std::string> tokens, ChatTemplateLimits limits) {
  if (source.size() > limits.source)
    throw FormatError(template_name, name + ": " + std::to_string(source.size()) +
                                         " bytes, expected at most " + std::to_string(limits.source));
  try {
    auto body = jinja::parse_template(source, most_template_depth);
    state_ =
        std::make_shared<const State>(State{std::move(name), std::move(tokens), limits, std::move(body)});
  } catch (const jinja::SyntaxFault& fault) {
    throw FormatError(template_name, name + ": line " + std::to_string(fault.line) + ": " + fault.what);
  }
}

std::optional<ChatTemplate> ChatTemplate::find(const std::filesystem::path& folder,
                                               ChatTemplateLimits limits) {
  const auto config_file = folder / "tokenizer_config.json";
  const auto config = path_exists(config_file)
                          ? parse_json(read_text_file(config_file, 64u << 20), config_file.string())
                          : nlohmann::json::object();
  if (!config.is_object())
    throw FormatError(template_name, config_file.string() + ": not an object", config_file);
  std::map<std::string, std::string> tokens;
  for (const auto& [key, value] : config.items())
    if (key.ends_with("_token") && !value.is_boolean())  // add_bos_token is none
      if (const auto content = token_content(config, key.c_str(), config_file.string()))
        tokens[key] = *content;
  const auto file = folder / "chat_template.jinja";
  if (path_exists(file))
    return ChatTemplate(read_text_file(file, limits.source), file.string(), std::move(tokens), limits);
  const auto json_file = folder / "chat_template.json";
  if (path_exists(json_file)) {
    const auto json = parse_json(read_text_file(json_file, max_config_bytes), json_file.string());
    if (const auto text = template_in(json, json_file.string()))
      return ChatTemplate(*text, json_file.string(), std::move(tokens), limits);
  }
  if (const auto text = template_in(config, config_file.string()))
    return ChatTemplate(*text, config_file.string(), std::move(tokens), limits);
  return std::nullopt;
}

std::string ChatTemplate::State::render(jinja::Value messages, const Options& options) const {
  const auto set = [](jinja::Dict& variables, const std::string& key, jinja::Value value) {
    for (auto& entry : variables)
      if (*entry.first.string() == key) {
        entry.second = std::move(value);
        return;
      }
    variables.emplace_back(key, std::move(value));
  };
  try {
    jinja::Dict variables;
    for (const auto& [token, text] : tokens) variables.emplace_back(token, text);
    set(variables, "messages", std::move(messages));
    set(variables, "add_generation_prompt", options.add_generation_prompt);
    set(variables, "tools", {});
    set(variables, "documents", {});
    if (!options.variables.empty()) {
      const auto more = ordered_json(options.variables, "the variables");
      if (!more.is_object()) throw FormatError(template_name, "the variables are no JSON object");
      for (const auto& [key, value] : more.items()) set(variables, key, template_value(value));
    }
    return jinja::render_template(body, variables, options.now ? *options.now : local_time(),
                                  {limits.steps, limits.work, limits.output});
  } catch (const jinja::RenderFault& fault) {
    const auto text = name + ": line " + std::to_string(fault.line) + ": " + fault.what;
    if (fault.refused) throw ArgumentError(template_name, text);
    throw FormatError(template_name, text);
  } catch (const jinja::Fault& fault) {
    throw FormatError(template_name, name + ": " + fault.what());
  }
}

std::string ChatTemplate::render(std::span<const ChatMessage> messages, const Options& options) const {
  jinja::List list;
  for (const auto& message : messages)
    list.emplace_back(jinja::Dict{{"role", message.role}, {"content", message.content}});
  return state_->render(std::move(list), options);
}

std::string ChatTemplate::render_json(std::string_view messages, const Options& options) const {
  const auto list = ordered_json(messages, "the messages");
  if (!list.is_array()) throw FormatError(template_name, "the messages are no JSON list");
  return state_->render(template_value(list), options);
}

const std::string& ChatTemplate::name() const noexcept {
  return state_->name;
}

}  // namespace daguerre::text
