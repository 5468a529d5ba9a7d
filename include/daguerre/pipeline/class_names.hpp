#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace daguerre {

/// The names of a model's classes (`id2label` in model_index.json). A label may list several names of the
/// same thing, separated by commas: "tench, Tinca tinca".
class ClassNames {
 public:
  ClassNames() = default;
  explicit ClassNames(std::map<std::int32_t, std::string> labels) : labels_(std::move(labels)) {}
  /// From a JSON object of ids and labels. Throws ConfigError in the name of `source`.
  static ClassNames parse(std::string_view json, const std::string& source);

  /// The id of the class whose label, or one of whose names, is `name`; capitals and small ASCII letters are
  /// the same. Throws ArgumentError when there is none (naming labels that contain it) or several (naming
  /// their ids).
  std::int32_t find(std::string_view name) const;
  /// The label of `id`; empty when it has none.
  std::string label(std::int32_t id) const;
  const std::map<std::int32_t, std::string>& labels() const noexcept { return labels_; }

 private:
  std::map<std::int32_t, std::string> labels_;
};

}  // namespace daguerre
