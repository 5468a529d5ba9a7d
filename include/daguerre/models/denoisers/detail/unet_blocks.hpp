#pragma once

#include <memory>
#include <span>
#include <vector>

#include "daguerre/models/denoisers/free_u.hpp"
#include "daguerre/models/denoisers/unet_2d_shape.hpp"
#include "daguerre/nn/decoupled_keys.hpp"
#include "daguerre/nn/temporal_windows.hpp"

/// The blocks that U-Nets are made of.
namespace daguerre::models {

/// What blocks read beside the feature map.
template <class T>
struct UNetBlockInputs {
  const Tensor<float>& temb;                ///< `[N, temb_channels]`
  const Tensor<T>* states = nullptr;        ///< the prompt's tokens, `[N, S, C]`, of films `[films, S, C]`
  const Tensor<float>* key_bias = nullptr;  ///< of those, `[N, S]`
  /// What each of the shape's cross-attentions looks at beside the prompt; empty where that is nothing.
  std::span<const std::vector<nn::DecoupledKeys>> decoupled{};
  const FreeU* free_u = nullptr;
  Index frames = 1;  ///< of each film; the sample's N are films times frames
  const nn::TemporalWindows* windows =
      nullptr;                               ///< that attention along the frames of motion modules is kept to
  const Tensor<float>* film_temb = nullptr;  ///< of the films, `[films, temb_channels]`, where frames count
};

/// What the way down leaves for the way up.
struct UNetPath {
  std::vector<Tensor<float>> skips;  ///< feature maps; one that is empty is not joined
  Tensor<float> picture;             ///< what skip blocks lead along; empty without them
};

template <class T>
class UNetDownBlock {
 public:
  virtual ~UNetDownBlock() = default;
  /// `feature`, where it is given, is added to the map before its size changes in blocks that look at a
  /// prompt, afterwards in others (T2I-Adapter). Throws ArgumentError where a block cannot take one.
  virtual Tensor<float> operator()(const ops::Context& context, Tensor<float> x,
                                   const UNetBlockInputs<T>& inputs, const Tensor<float>* feature,
                                   UNetPath& path) const = 0;
};

template <class T>
class UNetUpBlock {
 public:
  virtual ~UNetUpBlock() = default;
  virtual Tensor<float> operator()(const ops::Context& context, Tensor<float> x,
                                   const UNetBlockInputs<T>& inputs, UNetPath& path) const = 0;
};

template <class T>
class UNetMidBlock {
 public:
  virtual ~UNetMidBlock() = default;
  virtual Tensor<float> operator()(const ops::Context& context, Tensor<float> x,
                                   const UNetBlockInputs<T>& inputs) const = 0;
};

/// Where a block stands.
struct UNetBlockPlace {
  const UNet2DShape& shape;
  std::size_t level = 0;
  std::size_t first_cross_attention = 0;  ///< of the shape's, the first one in the block

  Index channels() const { return shape.levels[level].channels; }
  Index outer_channels() const { return shape.levels[level == 0 ? 0 : level - 1].channels; }
  Index inner_channels() const {
    return shape.levels[level + 1 < shape.levels.size() ? level + 1 : level].channels;
  }
  bool is_innermost() const { return level + 1 == shape.levels.size(); }
  bool is_outermost() const { return level == 0; }
  /// The shape's number of groups, or where it gives none what middle blocks then take.
  int groups() const;
  /// The shape's options for a residual layer of `block`.
  nn::ResnetOptions resnet(const UNetBlockShape& block, Index in, Index out) const;
};

template <class T>
std::shared_ptr<const UNetDownBlock<T>> make_down_block(const nn::Loader& loader,
                                                        const UNetBlockPlace& place);
template <class T>
std::shared_ptr<const UNetUpBlock<T>> make_up_block(const nn::Loader& loader, const UNetBlockPlace& place);
template <class T>
std::shared_ptr<const UNetMidBlock<T>> make_mid_block(const nn::Loader& loader, const UNetBlockPlace& place);

// The kinds that stand in files of their own.
template <class T>
std::shared_ptr<const UNetDownBlock<T>> make_skip_down_block(const nn::Loader& loader,
                                                             const UNetBlockPlace& place);
template <class T>
std::shared_ptr<const UNetUpBlock<T>> make_skip_up_block(const nn::Loader& loader,
                                                         const UNetBlockPlace& place);
template <class T>
std::shared_ptr<const UNetDownBlock<T>> make_k_down_block(const nn::Loader& loader,
                                                          const UNetBlockPlace& place);
template <class T>
std::shared_ptr<const UNetUpBlock<T>> make_k_up_block(const nn::Loader& loader, const UNetBlockPlace& place);

}  // namespace daguerre::models
