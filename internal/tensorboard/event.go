package tensorboard

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The field numbers of TensorBoard's event.proto and summary.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	summaryValue     = 1 // repeated Value
	valueTag         = 1 // string
	valueSimpleValue = 2 // float
	valueTensor      = 8 // TensorProto
	valueMetadata    = 9 // SummaryMetadata

	metadataPlugin = 1 // PluginData
	pluginName     = 1 // string

	tensorType   = 1 // enum
	tensorString = 7 // its value DT_STRING
	tensorShape  = 2 // TensorShapeProto
	shapeDim     = 2 // repeated Dim
	dimSize      = 1 // int64
	stringValue  = 8 // repeated bytes

	sessionStatus      = 1 // enum
	sessionStatusStart = 1 // its value START
)

// fileVersion is in the first event of a file. From version 2 on readers expect
// ascending steps, and restart them at SessionLog.START.
const fileVersion = "brain.Event:2"

// A Scalar is a point of the curve Tag.
type Scalar struct {
	Tag   string
	Value float64 // stored in float32
}

// versionEvent returns the first event of a file.
func versionEvent(at time.Time) []byte {
	b := protowire.AppendTag(eventTime(at), eventFileVersion, protowire.BytesType)
	return protowire.AppendString(b, fileVersion)
}

// startEvent returns an event that makes readers discard step and all later ones.
func startEvent(at time.Time, step int64) []byte {
	log := protowire.AppendTag(nil, sessionStatus, protowire.VarintType)
	log = protowire.AppendVarint(log, sessionStatusStart)
	b := protowire.AppendTag(eventAt(at, step), eventSessionLog, protowire.BytesType)
	return protowire.AppendBytes(b, log)
}

// scalarEvent returns one event with all scalars of a step.
func scalarEvent(at time.Time, step int64, scalars []Scalar) []byte {
	var summary []byte
	for _, s := range scalars {
		value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, s.Tag)
		value = protowire.AppendTag(value, valueSimpleValue, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(s.Value)))
		summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
	}
	b := protowire.AppendTag(eventAt(at, step), eventSummary, protowire.BytesType)
	return protowire.AppendBytes(b, summary)
}

// textEvent returns an event with a text, which the text plugin shows as Markdown.
func textEvent(at time.Time, step int64, tag, text string) []byte {
	dim := protowire.AppendTag(nil, dimSize, protowire.VarintType)
	dim = protowire.AppendVarint(dim, 1)
	shape := protowire.AppendTag(nil, shapeDim, protowire.BytesType)
	shape = protowire.AppendBytes(shape, dim)
	tensor := protowire.AppendTag(nil, tensorType, protowire.VarintType)
	tensor = protowire.AppendVarint(tensor, tensorString)
	tensor = protowire.AppendTag(tensor, tensorShape, protowire.BytesType)
	tensor = protowire.AppendBytes(tensor, shape)
	tensor = protowire.AppendTag(tensor, stringValue, protowire.BytesType)
	tensor = protowire.AppendString(tensor, text)
	plugin := protowire.AppendTag(nil, pluginName, protowire.BytesType)
	plugin = protowire.AppendString(plugin, "text")
	metadata := protowire.AppendTag(nil, metadataPlugin, protowire.BytesType)
	metadata = protowire.AppendBytes(metadata, plugin)

	value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
	value = protowire.AppendString(value, tag+"/text_summary")
	value = protowire.AppendTag(value, valueTensor, protowire.BytesType)
	value = protowire.AppendBytes(value, tensor)
	value = protowire.AppendTag(value, valueMetadata, protowire.BytesType)
	value = protowire.AppendBytes(value, metadata)
	summary := protowire.AppendTag(nil, summaryValue, protowire.BytesType)
	summary = protowire.AppendBytes(summary, value)
	b := protowire.AppendTag(eventAt(at, step), eventSummary, protowire.BytesType)
	return protowire.AppendBytes(b, summary)
}

// eventAt returns the fields that begin every event of a step.
func eventAt(at time.Time, step int64) []byte {
	b := protowire.AppendTag(eventTime(at), eventStep, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(step))
}

func eventTime(at time.Time) []byte {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, math.Float64bits(float64(at.UnixNano())/1e9))
}
