#include "media/film_file.hpp"

#if DAGUERRE_HAS_LIBAV

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>

extern "C" {
#include <libavutil/opt.h>
}

#include "daguerre/core/error.hpp"
#include "media/libav.hpp"
#include "media/yuv.hpp"

// Films written by libavformat and libavcodec, into files that are opened here.

namespace daguerre {
namespace {

/// Encoders by preference, of what a container usually holds.
std::span<const char* const> usual_codecs(std::string_view container) {
  static constexpr std::array<const char*, 3> webm{"libvpx-vp9", "libvpx", "libaom-av1"};
  static constexpr std::array<const char*, 1> avi{"mpeg4"};
  static constexpr std::array<const char*, 3> others{"libx264", "libopenh264", "mpeg4"};
  if (container == "webm") return webm;
  if (container == "avi") return avi;
  return others;
}

const AVCodec* codec_for(const std::string& name, std::string_view container) {
  if (!name.empty()) {
    const AVCodec* codec = avcodec_find_encoder_by_name(name.c_str());
    if (codec == nullptr || codec->type != AVMEDIA_TYPE_VIDEO)
      throw ArgumentError(film_name, "libavcodec has no encoder of films named \"" + name + "\"");
    return codec;
  }
  std::string tried;
  for (const char* usual : usual_codecs(container)) {
    if (const AVCodec* codec = avcodec_find_encoder_by_name(usual)) return codec;
    tried += std::string(tried.empty() ? "" : ", ") + usual;
  }
  throw ArgumentError(film_name, "libavcodec has none of the encoders " + tried + "; name another one");
}

class LibavWriter : public FilmWriter::Encoder {
 public:
  LibavWriter(const std::filesystem::path& path, const FilmOptions& options, std::string_view container)
      : path_(path),
        output_(path),
        options_(options),
        container_(container),
        codec_(codec_for(options.codec, container)) {}

  ~LibavWriter() override {
    codec_context_.reset();
    avformat_free_context(format_);
  }

  void write(const Image& given) override {
    const Image image = without_alpha(given);
    if (format_ == nullptr) begin(image);
    check(av_frame_make_writable(frame_.get()), "take a frame");
    const std::string planes = to_yuv(image, layout_);
    const std::uint8_t* from = reinterpret_cast<const std::uint8_t*>(planes.data());
    for (std::size_t plane = 0; plane < 3; ++plane) {
      const Index columns = plane == 0 ? image.width() : layout_.chroma_width(image.width());
      const Index rows = plane == 0 ? image.height() : layout_.chroma_height(image.height());
      for (Index y = 0; y < rows; ++y, from += columns)
        std::copy_n(from, columns, frame_->data[plane] + y * frame_->linesize[plane]);
    }
    frame_->pts = count_++;
    check(avcodec_send_frame(codec_context_.get(), frame_.get()), "code a frame");
    take_packets();
  }

  void finish() override {
    check(avcodec_send_frame(codec_context_.get(), nullptr), "code the last frames");
    take_packets();
    check(av_write_trailer(format_), "end the film");
    avio_flush(stream_.get());
    if (failure_) std::rethrow_exception(failure_);
    output_.finish();
  }

 private:
  void begin(const Image& image) {
    check(avformat_alloc_output_context2(&format_, nullptr, std::string(container_).c_str(), nullptr),
          "write this container");
    make_quiet(*format_);
    auto* buffer = static_cast<unsigned char*>(needed(av_malloc(libav_buffer)));
    stream_.reset(needed(
        avio_alloc_context(buffer, libav_buffer, 1, this, nullptr, &LibavWriter::put, &LibavWriter::seek)));
    format_->pb = stream_.get();
    format_->flags |= AVFMT_FLAG_CUSTOM_IO;
    open_codec(image);
    AVStream* track = needed(avformat_new_stream(format_, nullptr));
    check(avcodec_parameters_from_context(track->codecpar, codec_context_.get()), "describe the film");
    track->time_base = codec_context_->time_base;
    track->avg_frame_rate = codec_context_->framerate;
    if (!options_.text.empty())
      check(av_dict_set(&format_->metadata, "comment", options_.text.c_str(), 0), "keep the settings");
    check(avformat_write_header(format_, nullptr), "begin the film");
    frame_.reset(needed(av_frame_alloc()));
    packet_.reset(needed(av_packet_alloc()));
    frame_->format = codec_context_->pix_fmt;
    frame_->width = codec_context_->width;
    frame_->height = codec_context_->height;
    frame_->colorspace = codec_context_->colorspace;
    frame_->color_range = codec_context_->color_range;
    check(av_frame_get_buffer(frame_.get(), 0), "take a frame");
  }

  void open_codec(const Image& image) {
    codec_context_.reset(needed(avcodec_alloc_context3(codec_)));
    auto& context = *codec_context_;
    context.log_level_offset = libav_quiet;
    const auto rate = nearest_fraction(options_.frame_rate, 65535);  // of MPEG-4's time base
    context.width = static_cast<int>(image.width());
    context.height = static_cast<int>(image.height());
    context.framerate = {static_cast<int>(rate.p), static_cast<int>(rate.q)};
    context.time_base = {static_cast<int>(rate.q), static_cast<int>(rate.p)};
    context.pix_fmt = options_.full_chroma ? AV_PIX_FMT_YUV444P : AV_PIX_FMT_YUV420P;
    layout_.columns = layout_.rows = options_.full_chroma ? 1 : 2;
    layout_.full_range = options_.full_range;
    context.color_range = options_.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    context.colorspace = AVCOL_SPC_SMPTE170M;
    context.color_primaries = AVCOL_PRI_BT709;
    context.color_trc = AVCOL_TRC_IEC61966_2_1;
    context.gop_size = 48;
    if ((format_->oformat->flags & AVFMT_GLOBALHEADER) != 0) context.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    set_quality(context);
    const int opened = avcodec_open2(&context, codec_, nullptr);
    if (opened < 0)
      throw ArgumentError(film_name, path_.string() + ": " + codec_->name + " cannot code films of " +
                                         std::to_string(image.width()) + " x " +
                                         std::to_string(image.height()) +
                                         (image.width() % 2 + image.height() % 2 == 0
                                              ? ""
                                              : " (most need even sides; GIF, APNG, WebP and Y4M do not)") +
                                         ": " + libav_reason(opened));
  }

  /// Encoders with a constant quality of their own take that, others the quantiser of old.
  void set_quality(AVCodecContext& context) const {
    const double lack = (100.0 - options_.quality) / 100.0;
    void* own = context.priv_data;
    const bool has_factor = own != nullptr && av_opt_find(own, "crf", nullptr, 0, 0) != nullptr;
    const bool is_vpx = std::string_view(codec_->name).starts_with("libvpx") ||
                        std::string_view(codec_->name).starts_with("libaom");
    if (has_factor) {
      av_opt_set_double(own, "crf", is_vpx ? 4.0 + 59.0 * lack : 8.0 + 43.0 * lack, 0);
      context.bit_rate = 0;
      // Where nobody says how fast to be, the slowest is meant.
      if (is_vpx) av_opt_set(own, "cpu-used", "4", 0);
    } else {
      context.flags |= AV_CODEC_FLAG_QSCALE;
      context.global_quality = static_cast<int>(FF_QP2LAMBDA * (2.0 + 29.0 * lack));
    }
  }

  void take_packets() {
    for (;;) {
      const int result = avcodec_receive_packet(codec_context_.get(), packet_.get());
      if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
      check(result, "code a frame");
      packet_->duration = packet_->duration == 0 ? 1 : packet_->duration;
      av_packet_rescale_ts(packet_.get(), codec_context_->time_base, format_->streams[0]->time_base);
      packet_->stream_index = 0;
      const int written = av_interleaved_write_frame(format_, packet_.get());
      if (failure_) std::rethrow_exception(failure_);
      check(written, "write a frame");
    }
  }

  void check(int result, const char* what) const {
    if (result < 0)
      throw FileError(film_name, path_.string() + ": libav cannot " + what + ": " + libav_reason(result),
                      path_);
  }

  // Called by libav, which knows no exceptions.
  static int put(void* self, std::uint8_t* bytes, int count) {
    auto& writer = *static_cast<LibavWriter*>(self);
    try {
      const std::string_view text(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count));
      if (writer.position_ == writer.output_.size()) {
        writer.output_.put(text);
      } else {
        writer.output_.put_at(writer.position_, text);
      }
      writer.position_ += text.size();
      return count;
    } catch (...) {
      writer.failure_ = std::current_exception();
      return AVERROR(EIO);
    }
  }
  static std::int64_t seek(void* self, std::int64_t offset, int whence) {
    auto& writer = *static_cast<LibavWriter*>(self);
    const auto size = static_cast<std::int64_t>(writer.output_.size());
    if (whence == AVSEEK_SIZE) return size;
    const std::int64_t from = whence == SEEK_SET   ? 0
                              : whence == SEEK_END ? size
                                                   : static_cast<std::int64_t>(writer.position_);
    if (from + offset < 0) return AVERROR(EINVAL);
    writer.position_ = static_cast<std::uint64_t>(from + offset);
    return from + offset;
  }

  std::filesystem::path path_;
  FilmOutput output_;
  FilmOptions options_;
  std::string container_;
  const AVCodec* codec_;
  YuvLayout layout_;
  std::uint64_t position_ = 0;
  std::exception_ptr failure_;
  Libav<AVIOContext> stream_;
  AVFormatContext* format_ = nullptr;
  Libav<AVCodecContext> codec_context_;
  Libav<AVFrame> frame_;
  Libav<AVPacket> packet_;
  std::int64_t count_ = 0;
};

}  // namespace

FilmEncoder write_with_libav(const std::filesystem::path& path, const FilmOptions& options,
                             std::string_view container) {
  return std::make_unique<LibavWriter>(path, options, container);
}

}  // namespace daguerre

#endif
