#include "pipeline/on_demand.hpp"

namespace daguerre {
namespace {

template <class Component>
OnDemand<Component> loader_of(const Opened<Component>& opened, LoadContext context) {
  // What looks wrong was told at load.
  context.log = {};
  context.on_part = {};
  context.on_weights = {};
  return OnDemand<Component>([load = opened.load, context](const ops::Context& run) {
    auto now = context;
    now.compute.threads = run.threads;
    now.compute.stop = run.stop;
    now.compute.pool = {};  // the run's memory is the run's
    return load(now);
  });
}

class TextEncoderOnDemand final : public TextEncoder {
 public:
  TextEncoderOnDemand(const Opened<TextEncoder>& opened, const LoadContext& context)
      : info_(opened.info), prompts_(opened.prompts), encoder_(loader_of(opened, context)) {}

  const TextEncoderInfo& info() const noexcept override { return info_; }
  Output encode(const ops::Context& context, std::string_view prompt, const Options& options) const override {
    return encoder_.use(context)->encode(context, prompt, options);
  }
  Output encode_window(const ops::Context& context, const Window& window,
                       const Options& options) const override {
    return encoder_.use(context)->encode_window(context, window, options);
  }
  std::string lost(std::string_view prompt, Index max_sequence_length) const override {
    return prompts_->lost(prompt, max_sequence_length);
  }
  void check(std::string_view prompt, const char* what) const override { prompts_->check(prompt, what); }
  std::optional<text::WindowTokenizer> window_tokenizer(Index max_sequence_length) const override {
    return prompts_->window_tokenizer(max_sequence_length);
  }
  Lease lease() const override { return encoder_.lease(); }

 private:
  TextEncoderInfo info_;
  std::shared_ptr<const PromptReader> prompts_;
  OnDemand<TextEncoder> encoder_;
};

class AutoencoderOnDemand final : public Autoencoder {
 public:
  AutoencoderOnDemand(const Opened<Autoencoder>& opened, const LoadContext& context)
      : format_(opened.info), autoencoder_(loader_of(opened, context)) {}

  const LatentFormat& info() const noexcept override { return format_; }
  Distribution encode(const ops::Context& context, const Tensor<float>& pictures) const override {
    return autoencoder_.use(context)->encode(context, pictures);
  }
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    return autoencoder_.use(context)->decode(context, latents);
  }
  void decode_film(const ops::Context& context, const Tensor<float>& latents, const FilmDecoding& decoding,
                   const FrameSink& sink) const override {
    autoencoder_.use(context)->decode_film(context, latents, decoding, sink);
  }
  Lease lease() const override { return autoencoder_.lease(); }

 private:
  LatentFormat format_;
  OnDemand<Autoencoder> autoencoder_;
};

class ImageEncoderOnDemand final : public ImageEncoder {
 public:
  ImageEncoderOnDemand(const Opened<ImageEncoder>& opened, const LoadContext& context)
      : info_(opened.info), encoder_(loader_of(opened, context)) {}

  const ImageEncoderInfo& info() const noexcept override { return info_; }
  Output encode(const ops::Context& context, const Image& picture) const override {
    return encoder_.use(context)->encode(context, picture);
  }
  Output encode_values(const ops::Context& context, const Tensor<float>& values) const override {
    return encoder_.use(context)->encode_values(context, values);
  }
  Output encode_nothing(const ops::Context& context) const override {
    return encoder_.use(context)->encode_nothing(context);
  }

 private:
  ImageEncoderInfo info_;
  OnDemand<ImageEncoder> encoder_;
};

}  // namespace

std::shared_ptr<const TextEncoder> on_demand(const Opened<TextEncoder>& opened, const LoadContext& context) {
  return std::make_shared<const TextEncoderOnDemand>(opened, context);
}

std::shared_ptr<const Autoencoder> on_demand(const Opened<Autoencoder>& opened, const LoadContext& context) {
  return std::make_shared<const AutoencoderOnDemand>(opened, context);
}

std::shared_ptr<const ImageEncoder> on_demand(const Opened<ImageEncoder>& opened,
                                              const LoadContext& context) {
  return std::make_shared<const ImageEncoderOnDemand>(opened, context);
}

}  // namespace daguerre
