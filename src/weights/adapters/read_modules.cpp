#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/weights/adapter_file.hpp"
#include "weights/adapters/keys.hpp"
#include "weights/names.hpp"

namespace daguerre::weights::adapters {
namespace {

using nlohmann::json;

bool is_single_number(Role role) {
  return role == Role::alpha || role == Role::scalar || role == Role::on_input;
}

/// More than one of its extents is another than 1.
bool is_matrix(const Shape& shape) {
  Index longer = 0;
  for (Index axis = 0; axis < shape.rank(); ++axis) longer += shape[axis] != 1 ? 1 : 0;
  return longer > 1;
}

/// A tensor's values. Those that should be one number are not read when they are more.
Tensor<float> checked_values(const StateDict& file, const std::string& key, Role role) {
  const Shape shape = file.shape(key);
  if (is_single_number(role) && shape.size() != 1)
    throw FormatError(
        weights_name,
        file.source() + ": " + in_quotes(key) + " has shape " + to_string(shape) + ", expected one number",
        file.path());
  auto values = file.tensor(key, shape);
  for (Index i = 0; i < values.size(); ++i)
    if (!std::isfinite(values.data()[i]))
      throw WeightError(weights_name,
                        file.source() + ": " + in_quotes(key) + " holds a number that is not finite",
                        file.path());
  return values;
}

/// Whether PEFT's pattern, the end of a module's name, fits.
bool fits_pattern(const std::string& module, const std::string& pattern) {
  const auto end = flattened(pattern);
  return module == end || (module.ends_with(end) && module.size() > end.size() &&
                           module[module.size() - end.size() - 1] == '_');
}

/// The numbers of one component ("unet.").
class AdapterMetadata {
 public:
  AdapterMetadata(const StateDict& file, const json& all, std::string component)
      : file_(file), all_(all), component_(std::move(component)) {}

  std::optional<double> alpha(const std::string& module) const {
    return value("lora_alpha", "alpha_pattern", module);
  }
  std::optional<double> rank(const std::string& module) const { return value("r", "rank_pattern", module); }
  bool rank_stabilised() const {
    const auto* found = find("use_rslora");
    return found != nullptr && found->is_boolean() && found->get<bool>();
  }

 private:
  const json* find(const std::string& key) const {
    const auto found = all_.find(component_ + "." + key);
    return found == all_.end() ? nullptr : &*found;
  }
  double number(const json& value, const std::string& key) const {
    const double result = value.is_number() ? value.get<double>() : std::nan("");
    constexpr double largest = std::numeric_limits<float>::max();
    if (!(std::abs(result) <= largest))
      throw FormatError(weights_name,
                        file_.source() + ": lora_adapter_metadata: " + in_quotes(component_ + "." + key) +
                            (std::isnan(result) ? " is no number" : " is too large"),
                        file_.path());
    return result;
  }
  std::optional<double> value(const std::string& key, const std::string& patterns,
                              const std::string& module) const {
    if (const auto* own = find(patterns); own != nullptr && own->is_object())
      for (const auto& [pattern, value] : own->items())
        if (fits_pattern(module, pattern)) return number(value, patterns);
    const auto* found = find(key);
    return found == nullptr || found->is_null() ? std::nullopt : std::optional(number(*found, key));
  }

  const StateDict& file_;
  const json& all_;
  std::string component_;
};

}  // namespace

std::vector<Module> read_modules(const StateDict& file, std::vector<std::string>& foreign) {
  std::vector<Module> result;
  std::unordered_map<std::string, std::size_t> places;
  for (const auto& name : file.names()) {
    auto key = parse_key(name);
    // Whole weights are those of a model; they are many, and nothing an adapter has.
    if (!key || (key->role == Role::weight && is_matrix(file.shape(name)))) {
      foreign.push_back(name);
      continue;
    }
    const auto [place, is_new] = places.try_emplace(key->part + " " + key->module, result.size());
    if (is_new) result.push_back({.part = key->part, .name = key->module});
    auto& module = result[place->second];
    const auto [there, added] = module.keys.try_emplace(key->role, name);
    if (!added)
      throw FormatError(
          weights_name,
          file.source() + ": " + in_quotes(there->second) + " and " + in_quotes(name) + " say the same twice",
          file.path());
    module.tensors.emplace(key->role, checked_values(file, name, key->role));
  }
  std::sort(result.begin(), result.end(), [](const Module& a, const Module& b) {
    return std::pair(std::string_view(a.part), std::string_view(a.name)) <
           std::pair(std::string_view(b.part), std::string_view(b.name));
  });
  return result;
}

void read_adapter_metadata(const StateDict& file, std::vector<Module>& modules) {
  const auto metadata = file.metadata();
  const auto text = metadata.find("lora_adapter_metadata");
  if (text == metadata.end()) return;
  const auto all = json::parse(text->second, nullptr, false);
  if (!all.is_object())
    throw FormatError(weights_name, file.source() + ": lora_adapter_metadata is not a JSON object",
                      file.path());
  for (auto& module : modules) {
    if (module.has(Role::alpha) || !module.has(Role::down)) continue;
    const bool is_denoiser = module.part == AdapterFile::denoiser;
    for (const std::string& component : is_denoiser ? std::vector<std::string>{"unet", "transformer"}
                                                    : std::vector<std::string>{module.part}) {
      const AdapterMetadata own(file, all, component);
      if (const auto alpha = own.alpha(module.name)) module.alpha = static_cast<float>(*alpha);
      if (const auto rank = own.rank(module.name))
        module.rank = static_cast<Index>(std::clamp(*rank, 0.0, 1e9));
      module.rank_stabilised |= own.rank_stabilised();
    }
  }
}

}  // namespace daguerre::weights::adapters
