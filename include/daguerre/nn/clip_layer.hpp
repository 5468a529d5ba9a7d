#pragma once

#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"

namespace daguerre::nn {

/// One layer of CLIP's two transformers (transformers' CLIPEncoderLayer) on `[N, L, width]`:
/// x += out_proj(attention(layer_norm1(x))); x += fc2(act(fc1(layer_norm2(x)))).
template <class T>
class ClipLayer {
 public:
  struct Options {
    Index width = 0;
    Index inner = 0;  ///< of the perceptron
    int heads = 1;    ///< must divide the width
    ops::Activation activation = ops::Activation::quick_gelu;
    float epsilon = 1e-5f;
    bool causal = false;  ///< tokens see those before them only
  };
  /// Reads `layer_norm1`, `self_attn.{q,k,v,out}_proj`, `layer_norm2`, `mlp.fc1` and `mlp.fc2`.
  ClipLayer(const Loader& loader, const Options& options);

  /// `key_bias[N, L]`, where it is given, is added to the logits of every query.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const Tensor<float>* key_bias = nullptr) const;

 private:
  Options options_;
  std::shared_ptr<const ops::Engine> engine_;
  LayerNorm layer_norm1_;
  Linear<T> qkv_, out_proj_;
  LayerNorm layer_norm2_;
  Linear<T> fc1_, fc2_;
};

}  // namespace daguerre::nn
