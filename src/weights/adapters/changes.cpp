#include "weights/adapters/changes.hpp"

#include <array>
#include <initializer_list>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/adapters/factors.hpp"
#include "weights/names.hpp"

namespace daguerre::weights::adapters {
namespace {

std::vector<float> values_of(const Tensor<float>& tensor) {
  return {tensor.data(), tensor.data() + tensor.size()};
}

/// Layers that see a network's input.
bool is_first_layer(const std::string& tensor) {
  return tensor == "conv_in.weight" || tensor == "x_embedder.weight" || tensor == "pos_embed.proj.weight";
}

bool is_number(Role role) {
  return role == Role::alpha || role == Role::scalar || role == Role::on_input;
}
bool is_bias(Role role) {
  return role == Role::diff_bias || role == Role::up_bias;
}

/// The tensors that a module's keys are about.
struct Places {
  const Target *weight, *bias, *whole;

  Places(const Module& module, const Targets& targets)
      : weight(targets.find(module.name, "weight")),
        bias(targets.find(module.name, "bias")),
        whole(targets.find(module.name, module.has(Role::scale) ? "scale" : "weight")) {
    if (weight != nullptr && weight->shape.rank() == 0) weight = nullptr;
    if (whole != nullptr && (whole->sources.size() != 1 || whole->shape.rank() != 1)) whole = nullptr;
  }
};

/// A tensor that is put in place of the network's.
bool is_whole(const Module& module, Role role) {
  return role == Role::scale || (role == Role::weight && !module.has(Role::on_input));
}
bool is_of_weight(const Module& module, Role role) {
  return !is_number(role) && !is_bias(role) && !is_whole(module, role);
}
/// Whether any of the module's keys is of its weight.
bool changes_weight(const Module& module) {
  for (const auto& [role, key] : module.keys)
    if (is_of_weight(module, role)) return true;
  return false;
}

bool is_placed(const Module& module, Role role, const Places& places) {
  if (is_whole(module, role)) return places.whole != nullptr;
  if (is_bias(role)) return places.bias != nullptr;
  if (is_of_weight(module, role)) return places.weight != nullptr;
  // Numbers are about what is beside them.
  return changes_weight(module) ? places.weight != nullptr
                                : module.has(Role::up_bias) && places.bias != nullptr;
}

/// The changes of one module.
class ModuleChanges {
 public:
  ModuleChanges(const Module& module, const Targets& targets, const AdapterOptions& options,
                const std::string& source, const std::string& remark)
      : module_(module), targets_(targets), places_(module, targets), options_(options) {
    refuse_ = [&module, &source, &remark](const std::string& what) {
      throw WeightError(weights_name,
                        source + ": " + in_quotes(module.keys.begin()->second) + ": " + what + remark);
    };
  }

  std::vector<Change> make() {
    if (places_.bias != nullptr) bias(*places_.bias);
    if (places_.whole != nullptr) whole_tensor(*places_.whole);
    if (places_.weight != nullptr && changes_weight(module_)) weight(*places_.weight);
    return std::move(result_);
  }

 private:
  bool has(Role role) const { return module_.has(role); }

  /// For each tensor that a target is made of.
  template <class Make>
  void add(const Target& target, const Shape& whole, const Make& make) {
    Place place{.first = 0, .halves_swapped = target.halves_swapped};
    for (const auto& source : target.sources) {
      const Shape shape = target.sources.size() == 1 ? whole : *targets_.tensor(source);
      result_.push_back({source, make(shape, place)});
      place.first += shape[0];
    }
  }

  void bias(const Target& target) {
    for (const Role role : {Role::diff_bias, Role::up_bias}) {
      if (!has(role)) continue;
      const auto& values = module_[role];
      if (values.size() != target.shape.size())
        refuse_("a bias of shape " + to_string(values.shape()) + ", expected " + to_string(target.shape));
      const bool is_scaled = role == Role::up_bias && has(Role::down) && module_[Role::down].rank() > 0 &&
                             module_[Role::down].dim(0) > 0;
      const float scale =
          is_scaled ? Factors(module_, target.shape, refuse_).scale(module_[Role::down].dim(0)) : 1.0f;
      const auto difference = whole(values.reshape({values.size(), 1}), scale);
      add(target, target.shape,
          [&](const Shape& shape, Place place) { return added(shape, difference, place); });
    }
  }

  /// Norms that are put in place of the network's.
  void whole_tensor(const Target& target) {
    for (const Role role : {Role::scale, Role::weight}) {
      if (!has(role) || !is_whole(module_, role)) continue;
      if (!(module_[role].shape() == target.shape))
        refuse_("a tensor of shape " + to_string(module_[role].shape()) + ", expected " +
                to_string(target.shape));
      result_.push_back({target.sources.front(), replaced(module_[role])});
    }
  }

  void weight(const Target& target) {
    if (has(Role::on_input)) return multiplied_weight(target);
    const Shape shape = widened(target);
    const auto difference = Factors(module_, shape, refuse_).difference();
    if (difference == nullptr) refuse_("it has norms, and nothing that they are of");
    if (has(Role::magnitude)) return decomposed_weight(target, shape, difference);
    add(target, shape, [&](const Shape& part, Place place) { return added(part, difference, place); });
  }

  /// The shape that factors of the first layer ask for.
  Shape widened(const Target& target) const {
    const Shape& shape = target.shape;
    if (target.sources.size() != 1 || shape.rank() < 2 || !is_first_layer(target.sources.front()) ||
        !has(Role::down) || has(Role::mid) || module_[Role::down].rank() < 2)
      return shape;
    const Index kernel = shape.tail().tail().size(), columns = module_[Role::down].shape().tail().size();
    if (kernel == 0 || columns % kernel != 0 || columns / kernel <= shape[1]) return shape;
    if (!options_.wider_input)
      refuse_("it takes " + std::to_string(columns / kernel) + " input channels, the model has " +
              std::to_string(shape[1]));
    return shape.with(1, columns / kernel);
  }

  void multiplied_weight(const Target& target) {
    if (!has(Role::weight)) refuse_("it has no weight");
    const auto& factors = module_[Role::weight];
    const bool on_input = module_[Role::on_input].data()[0] != 0.0f;
    const Index expected = on_input ? (target.shape.rank() < 2 ? 0 : target.shape[1]) : target.shape[0];
    if (factors.size() != expected)
      refuse_("factors of shape " + to_string(factors.shape()) + ", expected " + std::to_string(expected));
    add(target, target.shape, [&](const Shape& part, Place place) {
      return multiplied(part, values_of(factors), on_input, place);
    });
  }

  void decomposed_weight(const Target& target, const Shape& shape, const DifferencePointer& difference) {
    const auto& magnitude = module_[Role::magnitude];
    const bool on_output =
        magnitude.size() == shape[0] && (magnitude.rank() < 2 || magnitude.dim(0) == shape[0]);
    const bool on_input = !on_output && shape.rank() >= 2 && magnitude.rank() >= 2 && magnitude.dim(0) == 1 &&
                          magnitude.size() == shape[1];
    if (!on_output && !on_input)
      refuse_("norms of shape " + to_string(magnitude.shape()) + " for a weight of " + to_string(shape));
    if (on_input && target.sources.size() > 1)
      refuse_("norms of input channels of a weight that the network has in several parts are not supported");
    DoraRule rule = options_.dora;
    if (rule == DoraRule::automatic) rule = on_output ? DoraRule::peft : DoraRule::lycoris;
    if (on_input && rule == DoraRule::peft) refuse_("PEFT's rule knows no norms of input channels");
    add(target, shape, [&](const Shape& part, Place place) {
      return decomposed(part, difference, place, {values_of(magnitude), on_input, rule});
    });
  }

  const Module& module_;
  const Targets& targets_;
  Places places_;
  const AdapterOptions& options_;
  Factors::Refuse refuse_;
  std::vector<Change> result_;
};

}  // namespace

void Changes::unplaced(const Module& module, std::vector<std::string>& keys) const {
  const Places places(module, targets_);
  for (const auto& [role, key] : module.keys)
    if (!is_placed(module, role, places)) keys.push_back(key);
}

std::vector<Change> Changes::of(const Module& module) const {
  return ModuleChanges(module, targets_, options_, source_, remark_).make();
}

}  // namespace daguerre::weights::adapters
