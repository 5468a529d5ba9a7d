#pragma once

#include <compare>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include <daguerre/ops/engine-inl.hpp>

/// An engine that multiplies nothing and writes down what it was asked to multiply.
namespace daguerre::bench {

/// A matrix product `[m, k] x [k, n]`.
struct Product {
  Index m = 0, n = 0, k = 0;
  auto operator<=>(const Product&) const = default;
};
/// A convolution of `[batch, height, width, in]`.
struct Convolution {
  Index batch = 0, height = 0, width = 0, in = 0, out = 0, kernel_height = 0, kernel_width = 0;
  int stride = 1, top = 0, left = 0, bottom = 0, right = 0;
  auto operator<=>(const Convolution&) const = default;
};
/// How often each was asked for. What is multiplied in float32 whatever the network's type (time embeddings
/// and the like) counts with the rest: it is next to nothing.
struct Record {
  std::map<Product, int> products;
  std::map<Convolution, int> convolutions;
  double attention_flops = 0.0;
};

/// Shared by the layers of a network; safe from many threads.
class Recorder {
 public:
  void add(const Product& product) {
    const std::lock_guard lock(mutex_);
    ++record_.products[product];
  }
  void add(const Convolution& convolution) {
    const std::lock_guard lock(mutex_);
    ++record_.convolutions[convolution];
  }
  void add_attention(double flops) {
    const std::lock_guard lock(mutex_);
    record_.attention_flops += flops;
  }
  /// What was asked for since the last call.
  Record take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(record_, {});
  }

 private:
  std::mutex mutex_;
  Record record_;
};

template <class T>
class RecordedLinear final : public ops::PackedLinear<T> {
 public:
  RecordedLinear(std::shared_ptr<Recorder> recorder, const Shape& weight)
      : recorder_(std::move(recorder)), out_(weight[0]), in_(weight[1]) {}
  Tensor<T> operator()(const ops::Context&, const Tensor<T>& x) const override { return asked<T>(x); }
  Tensor<float> accumulate(const ops::Context&, const Tensor<T>& x, const Tensor<float>*) const override {
    return asked<float>(x);
  }

 private:
  template <class To>
  Tensor<To> asked(const Tensor<T>& x) const {
    recorder_->add(Product{x.size() / in_, out_, in_});
    return Tensor<To>::zeros(x.shape().with(-1, out_));
  }
  std::shared_ptr<Recorder> recorder_;
  Index out_, in_;
};

template <class T>
class RecordedConv2d final : public ops::PackedConv2d<T> {
 public:
  RecordedConv2d(std::shared_ptr<Recorder> recorder, const Shape& weight, const ops::ConvGeometry& geometry)
      : recorder_(std::move(recorder)), weight_(weight), geometry_(geometry) {}
  Tensor<float> operator()(const ops::Context&, const Tensor<T>& x, Tensor<float>) const override {
    const auto& g = geometry_;
    recorder_->add(Convolution{x.dim(0), x.dim(1), x.dim(2), x.dim(3), weight_[0], weight_[2], weight_[3],
                               g.stride, g.pad_top, g.pad_left, g.pad_bottom, g.pad_right});
    return Tensor<float>::zeros({x.dim(0), g.output_size(x.dim(1), weight_[2], true),
                                 g.output_size(x.dim(2), weight_[3], false), weight_[0]});
  }

 private:
  std::shared_ptr<Recorder> recorder_;
  Shape weight_;
  ops::ConvGeometry geometry_;
};

template <class T>
class RecordsFor : public ops::EngineFor<T> {
 public:
  explicit RecordsFor(std::shared_ptr<Recorder> recorder) : recorder_(std::move(recorder)) {}
  std::unique_ptr<const ops::PackedLinear<T>> pack_linear(const ops::Context&, const ops::Weight& weight,
                                                          const Tensor<float>&,
                                                          ops::Activation) const override {
    return std::make_unique<const RecordedLinear<T>>(recorder_, weight.shape());
  }
  std::unique_ptr<const ops::PackedConv2d<T>> pack_conv2d(const ops::Context&, const ops::Weight& weight,
                                                          const Tensor<float>&,
                                                          const ops::ConvGeometry& geometry,
                                                          ops::Activation) const override {
    return std::make_unique<const RecordedConv2d<T>>(recorder_, weight.shape(), geometry);
  }
  Tensor<T> attention(const ops::Context&, const ops::AttentionArguments<T>& arguments) const override {
    recorder_->add_attention(static_cast<double>(arguments.flops()));
    return Tensor<T>::zeros({arguments.query.batch, arguments.query.length, arguments.value.width});
  }

 private:
  std::shared_ptr<Recorder> recorder_;
};

class RecordingEngine final : public ops::Engine, public RecordsFor<float>, public RecordsFor<bfloat16> {
 public:
  explicit RecordingEngine(std::shared_ptr<Recorder> recorder)
      : RecordsFor<float>(recorder), RecordsFor<bfloat16>(recorder) {}
  std::string_view name() const noexcept override { return "recording"; }
};

}  // namespace daguerre::bench
