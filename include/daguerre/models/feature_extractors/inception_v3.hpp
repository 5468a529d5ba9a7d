#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "daguerre/nn/basic_conv.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/ops/pool.hpp"

namespace daguerre::models {

/// What is asked of InceptionV3.
struct InceptionOutputs {
  bool middle = false;  ///< the means behind the first three blocks, too
  bool logits = true;   ///< of the classes, too
};

/// What InceptionV3 says of pictures; what was not asked for is empty.
struct InceptionFeatures {
  Tensor<float> first_pool;       ///< `[N, 64]`, the mean over all pixels behind the first max pool
  Tensor<float> second_pool;      ///< `[N, 192]`, behind the second
  Tensor<float> before_aux;       ///< `[N, 768]`, behind Mixed_6e
  Tensor<float> pool;             ///< `[N, 2048]`, behind Mixed_7c: the features of FID
  Tensor<float> logits_unbiased;  ///< `[N, 1008]`, fc without its bias
  Tensor<float> logits;           ///< `[N, 1008]`
};

namespace detail {

/// A convolution of `out` channels in a block of InceptionV3, padded to keep its size where `stride` is 1 and
/// `valid` is not set.
struct InceptionConv {
  const char* name;
  Index out;
  Index height = 1, width = 1;
  int stride = 1;
  bool valid = false;
  bool pooled = false;  ///< a max pool follows that halves (in the stem)

  ops::ConvGeometry geometry() const noexcept;
};

/// Convolutions one behind the other, behind a pool perhaps; `fork` are two that both read what the last one
/// made.
struct InceptionBranch {
  enum class Pool { none, average, max, halving_max };
  Pool pool = Pool::none;
  std::vector<InceptionConv> chain{};
  std::vector<InceptionConv> fork{};
};

struct InceptionBlockShape {
  std::string name;
  std::vector<InceptionBranch> branches;
};

/// Branches that all read the same, joined.
template <class T>
class InceptionBlock {
 public:
  InceptionBlock(const nn::Loader& loader, Index in, const InceptionBlockShape& shape);
  Tensor<T> operator()(const ops::Context& context, const Tensor<T>& x) const;
  Index out() const noexcept { return out_; }

 private:
  struct Branch {
    InceptionBranch::Pool pool;
    std::vector<nn::BasicConv2d<T>> chain, fork;
  };
  std::vector<Branch> branches_;
  Index out_ = 0;
};

}  // namespace detail

/// Inception v3 (Szegedy et al. 2016) with the weights of TensorFlow's release of 2015-12-05, as FID, IS and
/// KID ask it (pytorch-fid's FIDInceptionV3, torch-fidelity's FeatureExtractorInceptionV3, which are the same
/// network on inputs prepared in two ways): average pools leave the padding out, the last block's pool takes
/// the maximum, and there are 1008 classes. Batch norms are folded into the convolutions. What it says of a
/// picture does not depend on the others of the batch.
template <class T>
class InceptionV3 {
 public:
  static constexpr Index features = 2048, classes = 1008;
  static constexpr Index side = 299;          ///< of the pictures that it was trained on
  static constexpr Index smallest_side = 75;  ///< that leaves a pixel

  /// Reads torchvision's names (`Conv2d_1a_3x3.conv.weight` … `fc.bias`). Throws WeightError, ArgumentError.
  explicit InceptionV3(const nn::Loader& loader);

  /// Pictures `[N, H, W, 3]` in [-1, 1], of 75 pixels a side at least. Throws ArgumentError, Cancelled.
  InceptionFeatures operator()(const ops::Context& context, const Tensor<float>& pictures,
                               const InceptionOutputs& outputs = {}) const;

 private:
  struct StemConv {
    nn::BasicConv2d<T> conv;
    bool pooled;
  };
  std::vector<StemConv> stem_;
  std::vector<detail::InceptionBlock<T>> blocks_;
  std::size_t before_aux_ = 0;  // which of them
  nn::Linear<T> classes_;
  Tensor<float> bias_;
};

}  // namespace daguerre::models
