#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

#include "daguerre/core/tensor.hpp"
#include "daguerre/ops/low_rank.hpp"
#include "daguerre/weights/delta.hpp"

namespace daguerre::nn {

struct Loader;

/// The layers of a network as an engine packed them and the tensors that it keeps, by the names of what they
/// were read from: a network that differs in a few of them shares the rest. Filled by the thread that makes
/// the network; then immutable, and safe from many.
class PackedLayers {
 public:
  /// nullptr where there is none of that kind.
  template <class Layer>
  std::shared_ptr<const Layer> find(const std::string& key) const {
    const auto found = layers_.find({key, typeid(Layer).name()});
    return found == layers_.end() ? nullptr : std::static_pointer_cast<const Layer>(found->second);
  }
  template <class Layer>
  void keep(std::string key, std::shared_ptr<const Layer> layer) {
    layers_.insert_or_assign({std::move(key), typeid(Layer).name()}, std::move(layer));
  }
  /// nullptr where it was not read.
  const Tensor<float>* find_tensor(std::string_view name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  void keep_tensor(std::string name, Tensor<float> tensor) {
    tensors_.insert_or_assign(std::move(name), std::move(tensor));
  }

 private:
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const void>> layers_;
  std::map<std::string, Tensor<float>, std::less<>> tensors_;
};

/// A network made beside another one of the same configuration. What no delta touches is the other's; where
/// all deltas of a layer are of low rank, the other's layer goes on behind two small products; the rest is
/// made anew, and is all that there is a second copy of.
struct Adaptation {
  std::shared_ptr<const PackedLayers> base{};  ///< the other one's; nullptr: all is made anew
  weights::Deltas added{};                     ///< what the weights that are read have beyond those of `base`
  std::shared_ptr<PackedLayers> record{};      ///< where to keep what is made; nullptr: nowhere
};

namespace detail {

/// A layer's tensors, "weight" and, where it has one, "bias" of each of several modules, one behind the
/// other.
struct LayerTensors {
  std::span<const Loader> modules;
  std::span<const Shape> weights;  ///< of each
  bool has_bias = true;
};

struct LowRankChange {
  ops::LowRankStack stack;
  Tensor<float> bias;  ///< to be added; empty where there is none
};

/// What the layer is kept under; `how` says how it is packed.
std::string layer_key(const LayerTensors& tensors, const std::string& how);
/// Whether a delta touches it.
bool is_changed(const LayerTensors& tensors);
/// The change as a product that costs little beside the layer's own; nullopt where it is none.
std::optional<LowRankChange> low_rank_change(const LayerTensors& tensors);

}  // namespace detail
}  // namespace daguerre::nn
