#include "weights/json.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "daguerre/error.hpp"
#include "weights/file_bytes.hpp"
#include "weights/strict_sax.hpp"

namespace daguerre::weights {
namespace {

using Json = nlohmann::json;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::array<std::pair<std::string_view, double>, 3> constants{
    {{"-Infinity", -infinity}, {"Infinity", infinity}, {"NaN", std::numeric_limits<double>::quiet_NaN()}}};

// A number that JSON has no token for, and which of the text's strings stands in its place.
struct Constant {
  std::size_t string_index;
  double value;
};

// Replaces the constants outside strings by empty strings, padded with blanks so that offsets keep their
// meaning, and notes which strings those are.
std::vector<Constant> replace_constants(std::string& text) {
  std::vector<Constant> found;
  std::size_t strings = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
      ++strings;
      continue;
    }
    for (const auto& [token, value] : constants) {
      if (text.compare(i, token.size(), token) != 0) continue;
      text.replace(i, token.size(), "\"\"" + std::string(token.size() - 2, ' '));
      found.push_back({strings++, value});
      i += token.size() - 1;
      break;
    }
  }
  return found;
}

// Builds the document; the depth limit of the base bounds all recursion over the result.
class DocumentBuilder final : public StrictSax {
 public:
  DocumentBuilder(std::string_view source, std::vector<Constant> constants)
      : StrictSax("json", source), constants_(std::move(constants)) {}

  Json document;

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t value) override { return add(value); }
  bool number_unsigned(std::uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override {
    if (const Constant* constant = next_string()) return add(constant->value);
    return add(std::move(value));
  }

 protected:
  void on_start_object() override { open(Json::object()); }
  void on_start_array() override { open(Json::array()); }
  void on_key(const std::string& name) override {
    if (next_string()) fail("not valid JSON: a number in place of a key");
    key_ = name;
  }
  void on_end() override { open_.pop_back(); }

 private:
  // Counts a string of the text; the constant it stands for, or nullptr.
  const Constant* next_string() {
    const std::size_t index = strings_++;
    if (used_ == constants_.size() || constants_[used_].string_index != index) return nullptr;
    return &constants_[used_++];
  }
  Json& place(Json value) {
    if (open_.empty()) return document = std::move(value);
    Json& parent = *open_.back();
    if (parent.is_object()) return parent[key_] = std::move(value);
    parent.push_back(std::move(value));
    return parent.back();
  }
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  // The address stays good: a parent gets no further children while one of them is open.
  void open(Json value) { open_.push_back(&place(std::move(value))); }

  std::vector<Constant> constants_;
  std::size_t used_ = 0;
  std::size_t strings_ = 0;
  std::vector<Json*> open_;
  std::string key_;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& source) {
  std::string copy(text);
  auto constants_found = replace_constants(copy);
  DocumentBuilder builder(source, std::move(constants_found));
  builder.parse(copy);
  return std::move(builder.document);
}

std::string to_text(const Json& value) {
  const auto join = [](const Json& items, char open, char close) {
    std::string text(1, open);
    for (const auto& [key, item] : items.items()) {
      if (text.size() > 1) text += ", ";
      if (open == '{') text += Json(key).dump() + ": ";
      text += to_text(item);
    }
    return text + close;
  };
  if (value.is_object()) return join(value, '{', '}');
  if (value.is_array()) return join(value, '[', ']');
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  }
  return value.dump();
}

std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const FileBytes file = map_file(path, "file");
  if (file.bytes.size() > max_bytes)
    throw FileError("file", path.string() + ": " + std::to_string(file.bytes.size()) +
                                " bytes, expected at most " + std::to_string(max_bytes));
  return {reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()};
}

}  // namespace daguerre::weights
