#include "daguerre/config/config.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <mutex>
#include <set>
#include <utility>

#include "config/json.hpp"
#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre {
namespace {

using Json = nlohmann::json;

// Shortened, for messages.
std::string shown(const Json& value) {
  std::string text = to_text(value);
  constexpr std::size_t limit = 120;
  return text.size() <= limit ? text : text.substr(0, limit) + "…";
}

// What diffusers' EMAModel.save_pretrained enters in the configuration of the network whose average it is.
constexpr std::array<std::string_view, 8> average_keys{
    "decay",          "min_decay", "optimization_step", "update_after_step",
    "use_ema_warmup", "power",     "collected_params",  "inv_gamma"};

bool is_left_by_training(std::string_view key) {
  return std::find(average_keys.begin(), average_keys.end(), key) != average_keys.end();
}

}  // namespace

// Reading marks keys, so copies of a Config, which share this, may be used from several threads.
struct Config::State {
  std::string source;
  std::filesystem::path path;
  Json root;
  mutable std::mutex mutex;
  std::set<std::string, std::less<>> seen;

  State(Json document, std::string name, std::filesystem::path file)
      : source(std::move(name)), path(std::move(file)), root(std::move(document)) {}

  ConfigError error(std::string_view key, const std::string& problem) const {
    return ConfigError("config", source + ": " + in_quotes(key) + " " + problem, path);
  }
  ConfigError wrong(std::string_view key, std::string_view expected, const Json& found) const {
    return error(key, "must be " + std::string(expected) + ", found " + shown(found));
  }
  void mark(std::string_view key) {
    const std::lock_guard lock(mutex);
    seen.emplace(key);
  }
  // nullptr when the key is absent or null.
  const Json* find(std::string_view key) const {
    const auto found = root.find(key);
    return found == root.end() || found->is_null() ? nullptr : &*found;
  }
  const Json* read(std::string_view key) {
    mark(key);
    return find(key);
  }
  // nullptr when the key is absent.
  const Json* read_value(std::string_view key) {
    mark(key);
    const auto found = root.find(key);
    if (found == root.end()) return nullptr;
    if (found->is_null()) throw error(key, "is null, which is no value for it; leave it out for the default");
    return &*found;
  }
  const Json& require(std::string_view key) {
    if (const Json* value = read(key)) return *value;
    throw error(key, "is missing");
  }

  bool to_bool(std::string_view key, const Json& value) const {
    if (!value.is_boolean()) throw wrong(key, "true or false", value);
    return value.get<bool>();
  }
  double to_double(std::string_view key, const Json& value) const {
    if (!value.is_number()) throw wrong(key, "a number", value);
    return value.get<double>();
  }
  // Python writes whole numbers as 8 or 8.0.
  int to_int(std::string_view key, const Json& value) const {
    if (!value.is_number()) throw wrong(key, "an integer", value);
    const auto number = value.get<double>();
    // Every int is exact in a double, so nothing is lost by asking there.
    if (!(number >= std::numeric_limits<int>::min() && number <= std::numeric_limits<int>::max()) ||
        number != std::trunc(number))
      throw wrong(key, "an integer of 32 bits", value);
    return static_cast<int>(number);
  }
  std::string to_string(std::string_view key, const Json& value) const {
    if (!value.is_string()) throw wrong(key, "a string", value);
    return value.get<std::string>();
  }
  // Every item of a list through one of the conversions above.
  template <class T>
  std::vector<T> to_list(std::string_view key, const Json& value,
                         T (State::*convert)(std::string_view, const Json&) const) const {
    if (!value.is_array()) throw wrong(key, "a list", value);
    std::vector<T> items;
    items.reserve(value.size());
    for (const auto& item : value) items.push_back((this->*convert)(key, item));
    return items;
  }
};

Config Config::load(const std::filesystem::path& path) {
  return naming(path, [&] {
    auto config = parse(read_text_file(path, max_config_bytes), path.string());
    config.state_->path = path;
    return config;
  });
}

Config Config::parse(std::string_view json, std::string source) {
  Json document = parse_json(json, source);
  if (!document.is_object())
    throw FormatError("config", source + ": expected a JSON object, found " + shown(document));
  return Config(std::make_shared<State>(std::move(document), std::move(source), std::filesystem::path()));
}

const std::string& Config::source() const noexcept {
  return state_->source;
}

const std::filesystem::path& Config::path() const noexcept {
  return state_->path;
}

std::string Config::class_name() const {
  constexpr std::size_t longest = 120;  // it goes into messages
  if (const Json* name = state_->read("_class_name")) {
    auto text = state_->to_string("_class_name", *name);
    if (text.size() > longest) throw state_->wrong("_class_name", "the name of a class", *name);
    return text;
  }
  if (const Json* names = state_->read("architectures")) {
    const auto list = state_->to_list("architectures", *names, &State::to_string);
    if (!list.empty() && list.front().size() > longest)
      throw state_->wrong("architectures", "names of classes", *names);
    if (!list.empty()) return list.front();
  }
  return {};
}

bool Config::has(std::string_view key) const {
  return state_->find(key) != nullptr;
}

bool Config::is_null(std::string_view key) const {
  const auto found = state_->root.find(key);
  return found != state_->root.end() && found->is_null();
}

bool Config::is_list(std::string_view key) const {
  const Json* value = state_->find(key);
  return value != nullptr && value->is_array();
}

bool Config::get(std::string_view key, bool fallback) const {
  const Json* value = state_->read(key);
  return value ? state_->to_bool(key, *value) : fallback && !is_null(key);
}

int Config::get(std::string_view key, int fallback) const {
  const Json* value = state_->read_value(key);
  return value ? state_->to_int(key, *value) : fallback;
}

double Config::get(std::string_view key, double fallback) const {
  const Json* value = state_->read_value(key);
  return value ? state_->to_double(key, *value) : fallback;
}

std::string Config::get(std::string_view key, const char* fallback) const {
  const Json* value = state_->read_value(key);
  return value ? state_->to_string(key, *value) : fallback;
}

std::optional<int> Config::optional_int(std::string_view key) const {
  const Json* value = state_->read(key);
  return value ? std::optional(state_->to_int(key, *value)) : std::nullopt;
}

std::optional<double> Config::optional_double(std::string_view key) const {
  const Json* value = state_->read(key);
  return value ? std::optional(state_->to_double(key, *value)) : std::nullopt;
}

std::optional<std::string> Config::optional_string(std::string_view key) const {
  const Json* value = state_->read(key);
  return value ? std::optional(state_->to_string(key, *value)) : std::nullopt;
}

int Config::require_int(std::string_view key) const {
  return state_->to_int(key, state_->require(key));
}

std::vector<int> Config::require_ints(std::string_view key) const {
  return state_->to_list(key, state_->require(key), &State::to_int);
}

std::vector<std::string> Config::require_strings(std::string_view key) const {
  return state_->to_list(key, state_->require(key), &State::to_string);
}

std::vector<int> Config::int_or_list(std::string_view key, std::size_t count, int fallback) const {
  const Json* value = state_->read_value(key);
  if (!value) return std::vector<int>(count, fallback);
  if (!value->is_array()) return std::vector<int>(count, state_->to_int(key, *value));
  auto items = state_->to_list(key, *value, &State::to_int);
  if (items.size() != count)
    throw state_->wrong(key, "an integer or a list of " + std::to_string(count), *value);
  return items;
}

std::vector<std::vector<int>> Config::int_or_lists(std::string_view key, std::size_t count,
                                                   int fallback) const {
  const Json* value = state_->read_value(key);
  if (!value || !value->is_array())
    return std::vector<std::vector<int>>(count, {value ? state_->to_int(key, *value) : fallback});
  std::vector<std::vector<int>> items;
  for (const auto& item : *value)
    items.push_back(item.is_array() ? state_->to_list(key, item, &State::to_int)
                                    : std::vector<int>{state_->to_int(key, item)});
  if (items.size() != count)
    throw state_->wrong(key, "an integer or a list of " + std::to_string(count), *value);
  return items;
}

std::vector<bool> Config::bool_or_list(std::string_view key, std::size_t count, bool fallback) const {
  const Json* value = state_->read(key);
  if (!value || !value->is_array()) return std::vector<bool>(count, get(key, fallback));
  auto items = state_->to_list(key, *value, &State::to_bool);
  if (items.size() != count)
    throw state_->wrong(key, "true, false or a list of " + std::to_string(count), *value);
  return items;
}

std::optional<std::pair<int, int>> Config::int_or_pair(std::string_view key) const {
  const Json* value = state_->read(key);
  if (!value) return std::nullopt;
  if (!value->is_array()) return std::pair(state_->to_int(key, *value), state_->to_int(key, *value));
  const auto items = state_->to_list(key, *value, &State::to_int);
  if (items.size() != 2) throw state_->wrong(key, "an integer or a pair of them", *value);
  return std::pair(items[0], items[1]);
}

std::vector<double> Config::doubles(std::string_view key) const {
  const Json* value = state_->read(key);
  return value ? state_->to_list(key, *value, &State::to_double) : std::vector<double>{};
}

std::optional<std::string> Config::json(std::string_view key) const {
  const Json* value = state_->read(key);
  if (!value) return std::nullopt;
  if (!value->is_structured()) throw state_->wrong(key, "an object or a list", *value);
  return to_text(*value);
}

void Config::expect(std::string_view key, std::initializer_list<std::string_view> allowed) const {
  state_->mark(key);
  const auto value = state_->root.find(key);
  if (value == state_->root.end()) return;
  std::string choices;
  for (const auto literal : allowed) {
    const Json possible = parse_json(literal, "allowed value");
    if (possible == *value || (value->is_null() && possible == false)) return;
    choices.append(choices.empty() ? "" : ", ").append(literal);
  }
  throw state_->error(key, "is " + shown(*value) + ", supported: " + choices);
}

void Config::ignore(std::initializer_list<std::string_view> keys) const {
  for (const auto key : keys) state_->mark(key);
}

void Config::finish() const {
  const std::lock_guard lock(state_->mutex);
  std::string unknown;
  for (const auto& [key, value] : state_->root.items()) {
    if (key.starts_with('_') || value.is_null() || value == false || state_->seen.contains(key) ||
        is_left_by_training(key))
      continue;
    unknown += (unknown.empty() ? "" : ", ") + in_quotes(key) + ": " + shown(value);
  }
  if (!unknown.empty())
    throw ConfigError(
        "config", state_->source + ": options that are not known here, and may change the result: " + unknown,
        state_->path);
}

std::vector<std::string> Config::leftover_keys() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> result;
  for (const auto& [key, value] : state_->root.items())
    if (is_left_by_training(key) && !state_->seen.contains(key)) result.push_back(key);
  return result;
}

Config Config::without(const std::vector<std::string>& keys) const {
  Json root = state_->root;
  for (const auto& key : keys) root.erase(key);
  return Config(std::make_shared<State>(std::move(root), state_->source, state_->path));
}

Config Config::with(std::string_view overrides) const& {
  Config copy(std::make_shared<State>(state_->root, state_->source, state_->path));
  return std::move(copy).with(overrides);
}

Config Config::with(std::string_view overrides) && {
  if (state_.use_count() > 1) return std::as_const(*this).with(overrides);
  const Config changes = parse(overrides, state_->source + " (overrides)");
  state_->root.update(changes.state_->root);
  state_->seen.clear();
  return std::move(*this);
}

std::string Config::dump() const {
  return to_text(state_->root);
}

}  // namespace daguerre
