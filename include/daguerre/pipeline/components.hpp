#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/ops/context.hpp"
#include "daguerre/pipeline/conditioning.hpp"
#include "daguerre/text/token_window.hpp"

/// The parts of a model as the pipeline sees them: interfaces over float32 tensors, behind which a network
/// runs in whatever precision it was loaded in. All are immutable and safe to use from many threads, each
/// with a context of its own.
namespace daguerre {

struct LoadContext;
class ImageEncoder;
struct ImageEncoderInfo;

/// Reads a part's weights, as often as it is called; everything else was read when the part was opened.
template <class Component>
using LoadPart = std::function<std::shared_ptr<const Component>(const LoadContext& context)>;

/// A part that is known by its configuration, and read when it is asked for.
template <class Component>
struct Opened {
  typename Component::Info info;
  LoadPart<Component> load;
};

/// Keeps what a part loads when it is used, until the last of these goes. Empty for parts that are there.
using Lease = std::shared_ptr<const void>;

/// How a denoiser's latents relate to pictures and to what the autoencoder gives.
struct LatentFormat {
  Index channels = 4;
  Index space_ratio = 8;  ///< pixels along a side of a picture to one latent
  bool films = false;     ///< the autoencoder takes and gives films `[N, F, H, W, C]`, a picture as one frame
  Index time_ratio = 1;   ///< frames to one latent, behind the first frame, which has a latent of its own
  float scale = 1.0f;     ///< denoisers see (z - shift) * scale
  float shift = 0.0f;
  std::vector<float> mean, std;  ///< by channel; where given, (z - mean) / std * scale
  /// What latents of a picture that a film begins with are multiplied with instead of `scale`; 0: by that.
  float condition_scale = 0.0f;
  std::string config;  ///< the file that says so, for messages
  /// About what encoding and decoding take at their widest, for each pixel; 0: not known.
  Index bytes_per_pixel = 0;
  /// Films are decoded in chunks of as many frames as one likes (FilmDecoding::chunk): so much for each.
  bool chunks = false;

  /// What a denoiser sees of the autoencoder's `latents[..., channels]`.
  Tensor<float> to_model(const Tensor<float>& latents) const;
  /// The other way.
  Tensor<float> from_model(const Tensor<float>& latents) const;
};

struct TextEncoderInfo {
  Index width = 0;            ///< of the states
  std::string width_key;      ///< what says so, for messages: "hidden_size in text_encoder/config.json"
  Index most_tokens = 75;     ///< of a prompt, without those that mark its ends
  Index pooled_width = 0;     ///< of the prompt in one vector; 0: it gives none
  bool takes_length = false;  ///< its window is what Options::max_sequence_length says
};

/// Looks at prompts before a network does: a tokenizer, and what it must know of the network.
class PromptReader {
 public:
  virtual ~PromptReader() = default;
  /// What of `prompt` does not fit into a window of that length, see TextEncoder::Options; empty when all
  /// does.
  virtual std::string lost(std::string_view prompt, Index max_sequence_length = 0) const = 0;
  /// Throws ArgumentError for a prompt that cannot be encoded; `what` is "prompt" or the like.
  virtual void check(std::string_view prompt, const char* what) const = 0;
  /// How windows are filled for TextEncoder::encode_window; nullopt where a host's encoder takes prompts
  /// only.
  virtual std::optional<text::WindowTokenizer> window_tokenizer(Index max_sequence_length = 0) const {
    (void)max_sequence_length;
    return std::nullopt;
  }
};

/// A prompt to numbers: a tokenizer and the network behind it.
class TextEncoder : public PromptReader {
 public:
  using Info = TextEncoderInfo;
  struct Options {
    int skip = 0;            ///< layers left out at the end
    bool final_norm = true;  ///< whether the states go through the network's last norm
    /// How long the window is that prompts are cut and padded to, where the tokenizer leaves that open, as
    /// T5's does; 0: `model_max_length`.
    Index max_sequence_length = 0;
    /// Whether T5's attention leaves padding out (PixArt, Wan) or sees it as FLUX and SD3 have it.
    bool masks_padding = false;
  };
  struct Output {
    Tensor<float> states;  ///< `[1, L, D]`
    Tensor<float> pooled;  ///< `[1, P]`; empty where the network gives none
    Tensor<float> mask;    ///< `[1, L]`: 1 for tokens of the prompt and its end, 0 for padding; empty: CLIP's
  };

  /// A window of tokens that somebody else has filled.
  struct Window {
    std::vector<std::int32_t> ids;   ///< where there are vectors, what counts for pooling
    Index padding = 0;               ///< how many of the ids, at the end, are padding
    std::vector<Index> positions{};  ///< of tokens that have a vector of their own
    Tensor<float> vectors{};         ///< `[positions.size(), width]`
    Tensor<float> mask{};            ///< `[1, L]`: 0 for tokens to leave out; empty: as for a prompt
  };

  virtual const TextEncoderInfo& info() const noexcept = 0;
  /// Throws ArgumentError for more layers to skip than there are, and for a window that is not possible.
  virtual Output encode(const ops::Context& context, std::string_view prompt,
                        const Options& options) const = 0;
  /// The same for a window. Throws ArgumentError for one that does not fit, and where the encoder takes none.
  virtual Output encode_window(const ops::Context& context, const Window& window,
                               const Options& options) const;
  virtual Lease lease() const { return {}; }
};

/// A text encoder's prompts can be looked at before its network is there. `prompts` may be nullptr: the
/// encoder is then always kept.
template <>
struct Opened<TextEncoder> {
  TextEncoderInfo info;
  LoadPart<TextEncoder> load;
  std::shared_ptr<const PromptReader> prompts{};
};

/// An attention to the prompt that image prompts can join.
struct CrossAttention {
  std::string name;  ///< "down_blocks.0.attentions.1.transformer_blocks.0"
  Index width = 0;   ///< of its keys
};

struct DenoiserInfo {
  Index in_channels = 4;
  Index out_channels = 4;                       ///< twice the latents' where a variance is predicted
  Index sample_height = 64, sample_width = 64;  ///< of the latents that it was trained at
  Index side_multiple = 1;                      ///< latents' sides must be multiples of it
  Index largest_side = 0;                       ///< of latents, where there is a table of positions; 0: any
  Index context_width = 0;                      ///< D of the context; 0: it reads none
  std::string context_key = "cross_attention_dim";  ///< what says so
  int classes = 0;                                  ///< labels are below; 0: it takes none
  std::optional<std::int32_t> null_class{};         ///< the label that stands for none
  Index guided_channels = 0;                        ///< only the first so many channels are guided; 0: all
  bool reads_pooled = false;                        ///< takes the prompt in one vector, too
  Index pooled_width = 0;                           ///< of that vector, where the configuration says it
  bool embeds_guidance = false;                     ///< reads the guidance scale, extra "guidance"
  std::vector<std::string> extras{};                ///< that it reads
  FeatureSizes takes{};                             ///< of networks beside it, `Conditioning::features`
  std::string kind{};                               ///< which of several models its class is, for defaults
  std::string config{};                             ///< the file that says all this, for messages
  /// That read Conditioning::decoupled, in the order of IP-Adapter's files; empty: none do.
  std::vector<CrossAttention> cross_attentions{};
  bool takes_free_u = false;   ///< reads Conditioning::free_u
  bool wraps = false;          ///< follows the context's `wrap`, so that pictures fit themselves at the edges
  bool films = false;          ///< samples are films' latents `[N, F, h, w, C]`
  Index frame_multiple = 1;    ///< their frames must be multiples of it
  Index largest_frames = 0;    ///< where there is a table of positions in time; 0: any
  bool takes_windows = false;  ///< reads Conditioning::windows, which keep its attention to windows
  /// Timestep below which the second of two experts is asked; 0: there are none.
  double expert_boundary = 0.0;
  Index sample_frames = 0;  ///< of the films that it was trained at; 0: not said
};

/// The network that is asked again and again.
class Denoiser {
 public:
  using Info = DenoiserInfo;
  virtual ~Denoiser() = default;
  virtual const DenoiserInfo& info() const noexcept = 0;
  /// The model's output (epsilon, v, sample or velocity, as it was trained) `[N, h, w, out_channels]` for
  /// `x[N, h, w, C]`, or `[N, F, h, w, out_channels]` for `x[N, F, h, w, C]`, with `conditioning.concat`
  /// joined to its channels, at `timestep`.
  virtual Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                                   const Conditioning& conditioning) const = 0;
};

/// What a decoder of films may be told.
struct FilmDecoding {
  std::optional<float> timestep{};  ///< that it is conditioned on (LTX-Video from 0.9.1 on)
  /// The part of the latents that becomes noise before; not given: as much as the timestep says (likewise).
  std::optional<float> noise_part{};
  /// Noise of unit variance in a shape that it asks for; empty: it gets zeros.
  std::function<Tensor<float>(const Shape& shape)> noise{};
  Index chunk = 0;  ///< frames that see each other, where the decoder leaves that open; 0: its own number
};

/// Takes a film's frames as they come, `[1, f, H, W, C]`.
using FrameSink = std::function<void(const Tensor<float>& frames)>;

/// Pictures, or films, to latents and back.
class Autoencoder {
 public:
  using Info = LatentFormat;
  /// What an encoder knows of latents: a normal distribution. Empty `std`: they are `mean`.
  struct Distribution {
    Tensor<float> mean, std;
  };

  virtual ~Autoencoder() = default;
  virtual const LatentFormat& info() const noexcept = 0;
  /// Of `pictures[N, H, W, C]` in [-1, 1], of `films[N, F, H, W, C]` where the format has films; not scaled
  /// for the denoiser.
  virtual Distribution encode(const ops::Context& context, const Tensor<float>& pictures) const = 0;
  /// Pictures, about [-1, 1], from such latents `[N, h, w, C]`; where the format has films, they have one
  /// frame.
  virtual Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const = 0;
  /// The frames of a film from latents `[1, F, h, w, C]`, in order, as soon as they are there. Of an
  /// autoencoder of pictures, each frame by itself. What the sink throws reaches the caller.
  virtual void decode_film(const ops::Context& context, const Tensor<float>& latents,
                           const FilmDecoding& decoding, const FrameSink& sink) const;
  virtual Lease lease() const { return {}; }
};

}  // namespace daguerre
