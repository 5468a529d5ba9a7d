#include "config/json.hpp"

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "config/strict_sax.hpp"
#include "core/file_bytes.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre {
namespace {

using Json = nlohmann::json;

// Builds the document; the depth limit of the base bounds all recursion over the result.
class DocumentBuilder final : public StrictSax {
 public:
  explicit DocumentBuilder(std::string_view source) : StrictSax("json", source, true) {}

  Json document;

 protected:
  void on_null() override { place(nullptr); }
  void on_boolean(bool value) override { place(value); }
  void on_integer(std::int64_t value) override { place(value); }
  void on_unsigned(std::uint64_t value) override { place(value); }
  void on_fraction(double value, std::string_view) override { place(value); }
  void on_string(const JsonString& value) override { place(value.decoded()); }
  void on_start_object() override { open(Json::object()); }
  void on_start_array() override { open(Json::array()); }
  void on_key(const JsonString& name) override { key_ = name.decoded(); }
  void on_end() override { open_.pop_back(); }

 private:
  Json& place(Json value) {
    if (open_.empty()) return document = std::move(value);
    Json& parent = *open_.back();
    if (parent.is_object()) return parent[key_] = std::move(value);
    parent.push_back(std::move(value));
    return parent.back();
  }
  // The address stays good: a parent gets no further children while one of them is open.
  void open(Json value) { open_.push_back(&place(std::move(value))); }

  std::vector<Json*> open_;
  std::string key_;
};

/// As Json::dump, with U+FFFD for bytes that are no UTF-8, such as names of files may have.
std::string dumped(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& source) {
  DocumentBuilder builder(source);
  builder.parse(text);
  return std::move(builder.document);
}

std::string to_text(const Json& value) {
  const auto join = [](const Json& items, char open, char close) {
    std::string text(1, open);
    for (const auto& [key, item] : items.items()) {
      if (text.size() > 1) text += ", ";
      if (open == '{') text += dumped(Json(key)) + ": ";
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
  return dumped(value);
}

std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const FileBytes file = map_file(path, "file");
  if (file.bytes.size() > max_bytes)
    throw FileError("file",
                    path.string() + ": " + std::to_string(file.bytes.size()) + " bytes, expected at most " +
                        std::to_string(max_bytes),
                    path);
  return {reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()};
}

}  // namespace daguerre
