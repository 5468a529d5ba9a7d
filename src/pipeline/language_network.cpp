#include "pipeline/language_network.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/language/causal_lm.hpp"

namespace daguerre {
namespace {

template <class T>
class LanguageRunOf final : public LanguageRun {
 public:
  LanguageRunOf(std::shared_ptr<const models::CausalLm<T>> model, Index max_length)
      : model_(std::move(model)), cache_(model_->config(), max_length) {}

  Tensor<float> read(const ops::Context& context, std::span<const std::int32_t> ids,
                     bool wants_logits) override {
    models::CausalLmInputs<T> inputs;
    inputs.input_ids = Tensor<std::int32_t>({1, static_cast<Index>(ids.size())});
    std::copy(ids.begin(), ids.end(), inputs.input_ids.data());
    inputs.cache = &cache_;
    using Logits = typename models::CausalLmInputs<T>::Logits;
    inputs.logits = wants_logits ? Logits::last : Logits::none;
    const auto logits = (*model_)(context, inputs).logits;
    return wants_logits ? logits.reshape({logits.size()}) : logits;
  }

 private:
  std::shared_ptr<const models::CausalLm<T>> model_;
  models::KeyValueCache<T> cache_;
};

template <class T>
class LanguageNetworkOf final : public LanguageNetwork {
 public:
  LanguageNetworkOf(const models::LanguageConfig& config, const nn::Loader& loader)
      : model_(std::make_shared<const models::CausalLm<T>>(config, loader)) {}
  std::unique_ptr<LanguageRun> start(Index max_length) const override {
    return std::make_unique<LanguageRunOf<T>>(model_, max_length);
  }

 private:
  std::shared_ptr<const models::CausalLm<T>> model_;
};

/// The tensors of others, without what gives their pages back.
class KeptFile final : public weights::TensorFile {
 public:
  explicit KeptFile(const weights::StateDict& state)
      : state_(state), path_(state.path()), metadata_(state.metadata()) {
    for (const auto& name : state.names()) {
      infos_.push_back(*state.find(name));
      infos_.back().name = name;
    }
  }
  const std::string& name() const noexcept override { return state_.source(); }
  std::filesystem::path path() const override { return path_; }
  std::span<const weights::TensorInfo> tensors() const noexcept override { return infos_; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return metadata_; }
  ops::WeightSource weight(const weights::TensorInfo& info) const override {
    auto source = state_.weight(info.name, info.shape);
    source.release = nullptr;
    return source;
  }

 private:
  weights::StateDict state_;
  std::filesystem::path path_;
  std::map<std::string, std::string> metadata_;
  std::vector<weights::TensorInfo> infos_;
};

}  // namespace

std::shared_ptr<const LanguageNetwork> load_language_network(const models::LanguageConfig& config,
                                                             const weights::StateDict& state,
                                                             const LoadContext& context) {
  return with_precision(context, Role::denoiser,
                        [&]<class T>(const LoadContext& own) -> std::shared_ptr<const LanguageNetwork> {
                          auto compute = own.compute;
                          compute.placement = own.keeping.placement;
                          auto network = std::make_shared<const LanguageNetworkOf<T>>(
                              config, nn::Loader{weights::Scope(state), compute});
                          report(state, own);
                          return network;
                        });
}

weights::StateDict with_kept_pages(const weights::StateDict& state) {
  return weights::StateDict({std::make_shared<const KeptFile>(state)}, state.source());
}

}  // namespace daguerre
