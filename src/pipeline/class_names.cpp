#include "daguerre/pipeline/class_names.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "config/json.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre {
namespace {

std::string small_letters(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::string_view without_spaces_around(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

bool bears_name(const std::string& label, const std::string& name) {
  const std::string small = small_letters(label);
  if (without_spaces_around(small) == name) return true;
  for (std::string_view rest = small; !rest.empty();) {
    const auto comma = std::min(rest.find(','), rest.size());
    if (without_spaces_around(rest.substr(0, comma)) == name) return true;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return false;
}

}  // namespace

ClassNames ClassNames::parse(std::string_view json, const std::string& source) {
  const auto fail = [&](const std::string& problem) {
    return ConfigError("pipeline", source + ": id2label " + problem);
  };
  const auto root = parse_json(json, source);
  if (!root.is_object()) throw fail("must be an object of ids and labels");
  std::map<std::int32_t, std::string> labels;
  for (const auto& [key, value] : root.items()) {
    std::int32_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0)
      throw fail("has the key " + in_quotes(key) + ", expected a class id");
    if (!value.is_string()) throw fail("has a label of class " + key + " that is not a string");
    labels.emplace(id, value.get<std::string>());
  }
  return ClassNames(std::move(labels));
}

std::int32_t ClassNames::find(std::string_view name) const {
  const std::string wanted = small_letters(without_spaces_around(name));
  std::vector<std::int32_t> found;
  std::string similar;
  int count = 0;
  for (const auto& [id, label] : labels_) {
    if (bears_name(label, wanted)) found.push_back(id);
    if (!wanted.empty() && small_letters(label).find(wanted) != std::string::npos && ++count <= 5)
      similar += (similar.empty() ? "" : "; ") + std::to_string(id) + " " + label;
  }
  if (found.size() == 1) return found.front();
  const std::string quoted = in_quotes(name);
  if (found.empty())
    throw ArgumentError("pipeline", "no class is called " + quoted +
                                        (labels_.empty()   ? "; this model names no classes, give an id"
                                         : similar.empty() ? " among " + std::to_string(labels_.size())
                                                           : "; similar are: " + similar));
  std::string ids;
  for (const auto id : found) ids += (ids.empty() ? "" : ", ") + std::to_string(id);
  throw ArgumentError("pipeline", "several classes are called " + quoted + ": give one of the ids " + ids);
}

std::string ClassNames::label(std::int32_t id) const {
  const auto found = labels_.find(id);
  return found == labels_.end() ? std::string() : found->second;
}

}  // namespace daguerre
